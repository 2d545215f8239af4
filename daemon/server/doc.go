// Package server is the Unix socket: it accepts connections, learns from the kernel
// who is at the other end, decides what that peer may do, and has one method
// for each verb of the protocol. It knows nothing of WeChat, of the store or of how a
// credential is fetched: whatever a request asks for, it asks of an [Engine]; what WeChat has
// pushed goes to an [Inbox], unread.
//
// # Bytes, and how they arrive
//
// What a connection does with bytes stands apart from how bytes arrive. A session
// is handed what has been received, consumes whole lines, and appends replies
// to its out buffer; it never reads, writes or waits. A request that may have to wait
// comes out of it as a job, which the driver runs where waiting is allowed;
// the requests behind it stay where they are until it is done, so replies keep
// their order. The driver is a conn: one goroutine for each connection, over any
// [net.Conn], which is also what tests in virtual time want. An event loop can
// drive the same session.
//
// The replies to all requests that arrived together go out in one write. A GET of a
// value that is held takes no lock that waits and allocates nothing.
//
// # Limits
//
// A connection costs its goroutine and a read buffer of 4 KiB, which grows to the
// longest line only while such a line is under way; replies are written as soon as
// there are 64 KiB of them. A peer that reads nothing of its replies for
// [Config].WriteTimeout is closed. One that begins a line and does not end it is closed after
// LineTimeout. One that says nothing may stay, as long as there are fewer
// than MaxConns: workers of PHP keep connections for days, and the kernel closes those of the dead.
//
// # Half-closed, gone, stopping
//
// A peer that has shut down its sending side still gets the replies to all that
// it sent, a watch included. One that has gone altogether is noticed while its
// request waits, and the waiting is given up; the fetch it waited for is not its own and
// goes on. (Only Linux tells the two apart; elsewhere waiting goes on to its end.)
// After a WATCH, whatever the peer sends ends the watch and closes the
// connection.
//
// When Serve is told to stop: no more connections; idle ones are closed; requests that have
// been read are answered, with SHUTDOWN where they would have to wait; watches are closed;
// what is still there after GracePeriod is cut.
//
// # Goroutines
//
//	goroutine    started by    waited for by    owns
//	closer       Serve         Serve            the listener's end, and the grace period
//	connection   Serve         Serve            its conn and session, running jobs too
//	lookout      a conn        that conn        the conn's reading side while a job waits
//
// Lock order: conns.mu, then conn.mu; the rest are leaves. None is held while a call
// to the engine is made, or one to the kernel that may wait.
package server
