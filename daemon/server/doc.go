// Package server serves clients on Unix sockets. It accepts connections, asks the kernel which
// process is at the other end, decides what that peer may do, and has one method for each verb of
// the protocol. It knows nothing of WeChat, the store or how a credential is fetched: it calls an
// [Engine]. Messages that WeChat has pushed go to an [Inbox] unread. It does not look into backups.
//
// # Sessions and drivers
//
// A session is what one connection does with bytes. It is given the bytes that have arrived,
// consumes whole requests, and appends replies to its out buffer. It never reads, writes or waits.
// A request that may have to wait becomes a job. The driver runs the job where waiting is allowed.
// The requests behind it wait until the job has ended, so replies keep their order.
//
// There are two drivers, which behave the same. The tests with sockets run over both.
//
//   - A conn is one goroutine for one connection, over any [net.Conn]. Tests in virtual time use
//     it.
//   - A loop (Linux) is one goroutine for all connections of a listener. It uses package epoll,
//     which makes system calls without telling Go's scheduler, and takes little more than half of
//     the processor time. It reads, steps and writes, each for a group of connections.
//
// If a connection of a loop may have to wait, the loop lends it to a goroutine. That drives it by
// the same conn, and returns it when only a read is left. PUTs wait only for the disk: the loop
// passes them to the engine in batches, and lends no connection for them.
//
// Replies to requests that arrived together are sent in one write. A GET of a cached value takes no
// lock that waits, and allocates nothing. So does a REJECT of a value that has been replaced,
// except for one a second of each user, which is logged in the audit log. The clock is read once
// for all requests of a step, or of a group of a loop, because nothing in them waits. It is read
// again after a job, and for each value that expires in less than a second.
//
// # Wire formats
//
// A session does not know how requests and replies look: a codec cuts requests out of the bytes,
// parses them, and appends replies (codec.go). The first byte of a connection selects the codec:
// that of RESP, the protocol of Redis, for a '*' (files resp*.go), and that of the protocol's lines
// for any other (lines.go). A codec knows words and forms. Rights, shares, the audit log and the
// engine are the session's.
//
// In RESP, a peer may subscribe to changes and still send other commands (feed.go). While no
// command arrives, the session has a job that sends changes, and that ends when the peer sends
// something. A key of RESP may be an alias of a name (package alias).
//
// # Fairness
//
// The unit of fairness is the user: a uid, and the uids that are subordinate to it (subuid.go). All
// workers of a pool share a uid, and a peer cannot get another one. Each user has a share of every
// scarce resource (see [Limits] and limits.go):
//
//	connections        as many as are free: half of MaxConns for one user, a third each for two. A
//	                   few of the last sixteenth are for each user. Beyond its share, a connection
//	                   replaces an idle one of the user with the most (evict.go), or gets BUSY.
//	requests           UserRate a second. Beyond it, the connection is read later. Nothing is
//	                   refused.
//	long work          a fourth of a processor. Beyond it, the request and those behind it wait.
//	waiting requests   MaxUserWaits. Beyond it, BUSY.
//	watches            256. Beyond it, BUSY. A subscription that can get a message is one.
//	channels           4 MiB of all subscriptions. Beyond it, BUSY.
//	lists              4 at once. Others wait.
//	long requests      64 at once. Beyond it, the connection is closed.
//	unread replies     64 connections at once. Beyond it, the connection is closed.
//
// A session takes up to 64 requests at once from the user's allowance, so a GET costs one
// subtraction: no lock, no atomic operation and no look at the clock. Requests that cost more than
// others (long requests and values, LIST, WATCH, STATUS, HISTORY, STATS) are also charged by bytes
// and by time: see work.go.
//
// Root and the daemon's own user are operators. No limit applies to them, and their connections
// replace no others. Package descriptors keeps descriptors of the process free for operators and
// the daemon itself. If all descriptors are in use, a spare one is closed to accept the next
// connection; it is kept if it is an operator's. At most four such connections are served; others
// get BUSY.
//
// The kernel's queue of a socket has no shares. A client that connects in a loop can keep the queue
// full, and other clients have to try again. A second socket for operators has a queue of its own:
// Serve may be called for both.
//
// # Audit
//
// The log named "audit" says who has changed something, and who was refused (audit.go). Reads are
// counted for each credential and shown by STATUS (value.go). Both are bounded whatever peers do.
// So are log lines about faults (errors.go): with a disk that refuses writes, each request would
// log one.
//
// # Visibility
//
// A name that no rule shows to a peer is answered like a name that does not exist, byte for byte,
// by every verb. It is not looked up, so the time of the reply reveals nothing either. LIST does
// not call the engine for a prefix that no pattern of the peer can match. STATS is of the peer's
// own user unless STATS is granted on every name: the other counters reveal which kinds of
// credentials exist.
//
// # Limits
//
// An idle connection takes less than 1 KiB in a loop. Otherwise it takes a goroutine and a read
// buffer of 4 KiB. The buffer grows up to the longest request while such a request arrives. Replies
// are written when they reach 64 KiB. A loop reads 4 KiB of each connection at a time, so a
// connection that never stops sending delays others by no more than its replies.
//
// A peer that reads none of its replies for writeTimeout is closed. So is a peer that does not
// complete a request within lineTimeout. An idle connection may stay while there are free ones: PHP
// workers keep connections for days, and the kernel closes those of processes that have died.
//
// Measured, one hostile user with 4096 connections makes the daemon hold 40 MB, and 100 MB for some
// seconds by not reading (siege_test.go).
//
// # Half-closed, closed, stopping
//
// A peer that has shut down its sending side still gets all replies, also those of a watch. If a
// peer closes while its request waits, the request is given up; the fetch continues. (Only Linux
// distinguishes the two. On other systems the request waits until it is answered.) Bytes that
// arrive after a WATCH end the watch and close the connection.
//
// Since Linux 6.16 the kernel refuses descriptors that a peer passes (SCM_RIGHTS). An older one
// drops them; in a loop, bytes behind them may wait until the peer sends more.
//
// When Serve is stopped, it accepts no more connections and closes idle ones. A connection that has
// sent no request yet may send one within 100 ms, because its peer has probably just connected.
// Requests that have been read are answered, with SHUTDOWN if they would have to wait. Watches are
// closed. Connections that remain after gracePeriod are cut.
//
// # Goroutines
//
//	goroutine    started by    waited for by    owns
//	listener     Serve         Serve            one listening socket, and its file (relisten.go)
//	closer       Serve         Serve            the listener's end, and the grace period
//	connection   Serve         Serve            its conn and session; runs jobs too
//	borrower     a loop        Serve            a connection that the loop has lent, until it is returned
//	batch        a loop        Serve            the sessions of a batch of PUTs
//	lookout      a conn        that conn        the reading side while a job waits longer than for a disk
//
// A loop runs on the listener goroutine of its socket. It owns the descriptors of its connections,
// also of those that are lent.
//
// Lock order: conns.mu, then conn.mu, then the lock of an epoll.Wire. The others (users.mu,
// names.mu) are leaves. None is held during a call of the engine, or during a system call that may
// wait.
package server
