// Package web is the optional HTTP listener: the addresses that WeChat and WeCom push to, /healthz,
// and pages that say how the daemon stands. It knows paths, methods, statuses, who may see a page
// and how much a stranger may take of this host; it knows no cryptography, no event, no storage and
// no schedule: whatever is pushed is handed to an [Inbox], whose error decides the status. Of a
// [Page] it knows no more than who may see it.
//
// # What is answered
//
//	POST /callback/open_platform/<component_appid>   a push
//	POST /callback/open_work/<suite_id>              a push
//	GET  /callback/open_work/<suite_id>              WeCom verifies the address
//	GET  /healthz                                    200 and "ok"
//	GET  a page                                      that page, to whom it may be shown
//
// A push that has been kept is answered 200 and exactly success; one whose address is
// verified gets the bare text that it asked for. Everything else is a refusal, whose text never
// contains that word: 400 malformed, 403 signature or receiver, 404 no such owner or path, 405
// method, 413 over 1 MiB, 500 a fault of tokend's, 503 not kept: WeChat sends it again.
//
// # Within a second
//
// WeCom gives an answer 1000 ms, and the Open Platform stops pushing for a while after several late
// ones. So a handler waits for the inbox for at most answerTimeout and answers 503 then,
// even if what is behind it does not end: a disk can hold a write for longer than any context
// lasts. What it left behind goes on, holds one of a bounded number of places, and is waited for
// when the server stops.
//
// # Who sees a page
//
// Callbacks must be open to everybody, and a web server in front of the listener may pass on more
// than it was meant to. Nothing in a page is secret, but it names accounts and tells of their
// troubles, which is not for strangers, nor for users of this host who could not learn it over the
// socket. So a page is shown
//
//   - over a connection from this host's loopback, of a user whom [Config].Sees allows it. Whose connection it is stands in the
//     kernel's table of connections, which is read once for each connection, and for a tenth of the time at most;
//   - to the addresses that are configured for it (see [Monitors]);
//   - and to neither if the request shows that it was passed on (gate.go has the signs), or names a host that is no address.
//
// Everybody else is answered 403, in the same words whatever the reason; the log says that, and
// what to do. A page that is not made within answerTimeout is answered 503. Two are made at once. A
// large page is written while it is made, eight at once; the connection is cut if that fails after
// the first byte.
//
// # Strangers
//
// The listener may face the internet, or a reverse proxy from which all connections come. So there
// is one bound for all of them. When it is reached, a new connection takes the place of another: of
// the address that holds the most, the one that has owed a whole request for the longest time. A
// genuine push arrives in milliseconds and is never the slowest, and whoever floods the listener
// from one address crowds out nobody else. A connection whose request has arrived whole is not
// closed any more. Headers, bodies, answers and pauses have their own time limits; bodies beyond 32
// KiB, which no genuine push has, are held eight at a time.
//
// A push whose signature, time or nonce is malformed is refused before its body is read. Bodies
// beyond 8 KiB that turn out not to be genuine may take a fiftieth of a processor for each source,
// and a tenth for all sources that have sent nothing genuine (budget.go). Beyond that they are
// answered 503. Behind a reverse proxy all are one source; smaller bodies, as all known pushes
// have, are never refused for it.
//
// In all, strangers can take some 50 MiB of memory (measured: 32 while all lie in wait), and one
// line of log for each kind of refusal in ten seconds.
//
// There is no TLS here, and no HTTP/2: that is a reverse proxy's work.
//
// # Goroutines
//
//	goroutine    started by   waited for by      owns
//	accept loop  Serve        Serve (runs in it) the listener
//	stopper      Serve        Serve              the end of the connections
//	connection   net/http     Serve              one connection and its requests
//	attempt      a handler    that handler for answerTimeout, then Serve   one call of the inbox, or one page
package web
