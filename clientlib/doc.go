// Package clientlib asks tokend, the daemon on this host that holds WeChat and
// WeCom credentials, for the ones that are valid now. It speaks the protocol of
// tokend/protocol over a Unix socket; it knows no credential, keeps no value, and
// imports nothing but that package and the standard library.
//
// # Use
//
// The zero [Client] works. Make one for the process and share it:
//
//	var tokens clientlib.Client
//
//	token, err := tokens.Get(ctx, "official_account/wx0123/access_token")
//
// Ask before each call of the API, and do not keep the answer: it costs some
// microseconds, and the daemon knows of a token that was replaced before its time.
// Where the API refuses a token as invalid or expired, hand it back
// with [Client.Reject] and try once more with what that returns.
//
// # Customers
//
// Grants go in and never come out. [Client.Exchange] hands in the code that a customer's browser
// brought back, [Client.Put] a refresh token, permanent code or ticket that another program holds,
// [Client.Import] all the customers that a platform has, and [Client.Push] a callback that this
// program's web server has received in the daemon's place.
//
// # Connections
//
// Requests share a pool of connections, of which at most MaxIdleConns are kept open between
// requests. A connection that has been closed while it lay in the pool, as after a restart of the
// daemon or to make room for another user's, is noticed when it is used: the request is then sent
// once more, on a new connection, provided nothing of a reply had arrived. A request that must not
// be made twice (Refresh, Exchange, Import) and a Watch never take a connection from the pool, and
// so are never repeated. Nothing else is ever retried: when to ask again is up to the caller, and
// an [*Error] says when it may help.
//
// A connection whose reply did not arrive whole, did not fit the protocol, or was
// not waited for to the end is closed, so that a late reply is never taken for the
// answer to another request.
//
// # Time
//
// A context's deadline is the limit of a request, its cancellation ends the waiting at
// once; without a deadline Timeout is the limit. The daemon goes on fetching
// what somebody has asked for, whoever leaves.
package clientlib
