// Package web has the optional HTTP listeners: the callback URLs of WeChat and WeCom, and pages
// about the daemon. Each has a [Server] of its own, so that a web server that forwards callbacks
// cannot show a page. The package knows paths, methods, statuses, who may see a page, and how much
// of this host a stranger may use. It does not know cryptography, events, storage or the schedule:
// an [Inbox] processes the pushes, and its error decides the status. The content of a [Page] is
// opaque.
//
// # Routes
//
//	POST /callback/open_platform/<component_appid>   a push
//	POST /callback/open_work/<suite_id>              a push
//	GET  /callback/open_work/<suite_id>              WeCom verifies the URL
//	GET  /healthz                                    200 and "ok"
//	GET  /readyz                                     200 and "ok", or 503
//	GET  a page                                      the page, for clients that may see it
//
// A stored push is answered 200 with exactly "success". A verification is answered with its
// decrypted text. Any other answer is a rejection, whose body never contains "success". The
// statuses are 400 malformed, 403 signature or receiver, 404 unknown owner or path, 405 method, 413
// over 1 MiB, 500 internal error, and 503 not stored. WeChat resends a push after 503.
//
// # Answers within a second
//
// WeCom waits 1000 ms for an answer. The Open Platform stops pushing for a while after several late
// answers. A handler therefore waits for the inbox for at most answerTimeout and then answers 503.
// The call may hang: a write to disk can block longer than any context. The abandoned call
// continues in one of a bounded number of slots. The server waits for abandoned calls when it
// stops.
//
// # Access to pages
//
// Pages contain no secrets, but they name accounts and their problems. Strangers must not see them,
// nor users of this host who cannot get the same information over the socket. A page is shown
//
//   - over a loopback connection of a user whom [Config].Sees allows. The kernel reports who owns a
//     connection, once per connection (NETLINK_SOCK_DIAG);
//   - over a Unix socket to a peer whom [Config].Admits allows;
//   - to the configured addresses (see [Monitors]), which may be loopback addresses;
//   - in no case if the request shows signs of forwarding (listed in gate.go) or its host is not
//     an address.
//
// All other clients get 403 with the same text whatever the reason. The log has the reason and the
// remedy. A page that takes longer than viewTimeout is answered 503. At most two pages are
// rendered at once. A large page is written while it is rendered, at most eight at once. If
// rendering fails after the first byte, the connection is closed.
//
// # Strangers
//
// The listener may face the internet, or a reverse proxy that all connections come from. One bound
// therefore covers all connections. When the bound is reached, a new connection replaces a
// connection of the address with the most connections. The connection that has owed a complete
// request for the longest time is closed. A genuine push arrives in milliseconds and is never the
// slowest, and a flood from one address evicts only its own connections. A connection whose request
// has arrived completely is not evicted. Headers, bodies, answers and idle periods have time
// limits. At most eight bodies over 32 KiB are in memory at once; no genuine push is that large.
//
// A push with a malformed signature, time or nonce is rejected before its body is read. Bodies over
// 8 KiB that are not genuine may use one fiftieth of a processor per source, and one tenth for all
// sources without genuine pushes (budget.go). Beyond that, they are answered 503. Behind a reverse
// proxy, all requests come from one source. Smaller bodies, as all known pushes have, are never
// rejected for this reason.
//
// Strangers can use about 50 MiB of memory in total (measured: 32 MiB with all connections
// stalled). They can cause one log line per kind of rejection in ten seconds.
//
// The listener has no TLS and no HTTP/2. A reverse proxy provides them.
//
// # Goroutines
//
//	goroutine    started by  waited for by         owns
//	accept loop  Serve       Serve (runs in it)    the listener
//	stopper      Serve       Serve                 the end of the connections
//	connection   net/http    Serve                 one connection and its requests
//	attempt      a handler   the handler for       one call of the inbox, or one page
//	                         a time, Serve
package web
