// Package clientlib is a client for tokend, the daemon of this host that holds valid WeChat and
// WeCom credentials. It speaks the protocol of package tokend/protocol over a Unix socket. It
// caches no value, knows no kinds of credentials, and imports only tokend/protocol and the standard
// library. Package tokend/clientlib/clientlibtest is a fake daemon for tests.
//
// # Usage
//
// The zero [Client] works. Create one for the process and share it:
//
//	var tokens clientlib.Client
//
//	token, err := tokens.Get(ctx, "official_account/wx0123/access_token")
//
// Get the token before each call to WeChat's API and do not cache it. A request takes microseconds,
// and only the daemon knows when a token has been replaced early. If the API refuses a token as
// invalid or expired, pass it to [Client.Reject] and retry once with the value that Reject returns.
//
// # Customers
//
// The daemon accepts grants and never returns them. [Client.Exchange] submits the code from a
// customer's browser. [Client.Put] submits a refresh token, permanent code or ticket that another
// program holds. [Client.Import] imports all customers of a platform. [Client.Push] submits a
// callback that this program's web server has received.
//
// # Connections
//
// Requests share a pool of connections. At most MaxIdleConns stay open between requests. The daemon
// may close a connection, on a restart or in favor of another user. A request that then fails
// without a byte of a reply is sent again, once, on a new connection. Refresh, Exchange, Import and
// Watch always use a new connection and are never sent twice. Other errors are never retried: the
// caller decides, and an [*Error] says when a retry may help.
//
// The Client closes a connection if its reply was incomplete, malformed or not read to its end. A
// late reply is therefore never taken for the reply to another request.
//
// # Time
//
// A request ends at the deadline of its context, or after Timeout if the context has no deadline.
// Cancellation ends it at once. The daemon continues a fetch when its clients leave.
package clientlib
