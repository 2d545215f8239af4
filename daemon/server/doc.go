// Package server is the Unix socket: it accepts connections, learns from the kernel
// who is at the other end, decides what that peer may do, and has one method
// for each verb of the protocol. It knows nothing of WeChat, of the store or of how a
// credential is fetched: whatever a request asks for, it asks of an [Engine]; what WeChat has
// pushed goes to an [Inbox], unread; what a backup holds, it does not look at.
//
// # Bytes, and how they arrive
//
// What a connection does with bytes stands apart from how bytes arrive. A session is handed what
// has been received, consumes whole lines, and appends replies to its out buffer; it never reads,
// writes or waits. A request that may have to wait comes out of it as a job, which the driver runs
// where waiting is allowed; the requests behind it stay where they are until it is done, so replies
// keep their order. There are two drivers. A conn is one goroutine for one connection, over any
// [net.Conn], which is also what tests in virtual time want. A loop (Linux) serves all connections
// of a listener on one goroutine, by epoll, without telling Go's scheduler of its system calls,
// which takes little more than half of the processor. It reads, steps and writes, each for a group
// of those that have asked at once, and lends each connection that may have to wait to a goroutine,
// which drives it by the same conn until there is nothing to do but to read. PUTs, which wait for
// the disk alone, it hands to the engine in batches, and lends nobody for them. What the two
// promise is the same, and the tests with sockets are over both.
//
// The replies to all requests that arrived together go out in one write. A GET of a cached value
// takes no lock that waits and allocates nothing; so does a REJECT of a value that is no longer
// current, but for one a second of a user, which the audit logs. The clock is looked at once for
// all that one step answers, or one group of a loop, since nothing in them waits; behind a job it
// is looked at again, and for each value that has less than a second left.
//
// # Wire formats
//
// A session does not know how requests and replies look: a codec cuts requests out of the bytes,
// parses them, and appends replies (codec.go). The first byte of a connection selects the codec.
// There is one, for the lines of the protocol (lines.go).
//
// # One user does not starve another
//
// The unit of fairness is the uid, together with the uids that are subordinate to it (subuid.go):
// it is what a looping pool of workers has in common, and what a peer cannot make more of. Of all
// that is scarce, a user has a share (see [Limits] and limits.go):
//
//	connections         as many as are free: half of MaxConns alone, a third each of two; of the last sixteenth a few for
//	                    each user; beyond, the place of an idle one of the user with the most (places.go), or BUSY
//	requests            UserRate a second; beyond it the connection is not read for as long as
//	                    its turn takes, so a loop runs slower and nothing is refused
//	work on long ones   a fourth of a processor; beyond it the request waits, and with it those behind it
//	requests that wait  MaxUserWaits; BUSY beyond
//	watches, lists of   256; 4 at once, further ones wait their turn
//	all there is
//	long lines, peers   64 of each at once; further ones are closed, so that what they make
//	that do not read    the daemon hold is bounded
//
// A session draws its requests from the user's allowance in rations of up to 64, so a GET costs a
// subtraction for it: no lock, no atomic operation, no look at the clock. Requests that cost more
// than others (long lines and values, LIST, WATCH, STATUS, HISTORY, STATS) are also charged by
// bytes and by time: see work.go.
//
// Root and the daemon's own user are operators: none of this binds them, and their connections take
// nobody's place. Of the process's descriptors a quarter is left to them and to the rest of the
// daemon, and the last 24 (package descriptors) whatever the numbers say: 8 of these are for operators, and
// with 16 the daemon fetches and stores while connections have all the others. At the very end four
// more operators are served, in the place of spares held for that, and whoever comes then is
// answered BUSY. Should all descriptors be in use all the same, a spare is given up to see whose
// connection waits, and an operator's is kept. What no program can share out is the kernel's queue
// of a socket: who connects in a loop can keep it full, and others have to try again. A second
// socket, for operators alone, has a queue of its own; Serve may be called for both.
//
// # Audit
//
// Who has done what, and who was refused, stands in the log named "audit" (audit.go); who has read
// what is counted (usage.go) at the engine's pegs, for STATUS. Both are bounded, whatever peers do,
// and so are the lines about tokend's own faults (errors.go): a disk that refuses would make one of
// each request.
//
// # Who may see what
//
// A name that no rule shows to a peer is answered like one that does not exist, by every verb, to
// the byte, and without being looked up, so the time it takes says no more than the words. LIST
// asks for nothing under a prefix that no pattern of the peer's can match. STATS is of the peer's
// own user, unless it is granted on every name: calls by path, and what others ask for, tell which
// kinds of credentials there are.
//
// # Limits
//
// A connection that waits for its peer to ask costs less than 1 KiB in a loop, and otherwise its
// goroutine and a read buffer of 4 KiB. The buffer grows to the longest line only while such a line
// is under way; replies are written as soon as there are 64 KiB of them. A loop reads 4 KiB of each
// connection in turn, so one that sends on and on makes the others wait for the answers to that. A
// peer that reads nothing of its replies for writeTimeout is closed. One that begins a
// line and does not end it is closed after lineTimeout. One that says nothing may stay, as long as
// there is room: workers of PHP keep connections for days, and the kernel closes those of the dead.
// Measured, one user who does its worst with 4096 connections makes the daemon hold 40 MB, and 100
// MB for some seconds by not reading (siege_test.go).
//
// # Half-closed, gone, stopping
//
// A peer that has shut down its sending side still gets the replies to all that it sent, a watch
// included. One that has gone altogether is noticed while its request waits, and the waiting is
// given up; the fetch it waited for is not its own and goes on. (Only Linux tells the two apart;
// elsewhere waiting goes on to its end.) After a WATCH, whatever the peer sends ends the watch and
// closes the connection. Descriptors that a peer passes (SCM_RIGHTS) are refused by the kernel, and
// by one before Linux 6.16 dropped; what has been sent behind them may then have to wait in a loop
// until the peer sends more.
//
// When Serve is told to stop: no more connections; idle ones are closed; requests that have
// been read are answered, with SHUTDOWN where they would have to wait; watches are closed;
// what is still there after gracePeriod is cut.
//
// # Goroutines
//
//	goroutine    started by    waited for by    owns
//	listener     Serve         Serve            one listening socket, and its file (relisten.go)
//	closer       Serve         Serve            the listener's end, and the grace period
//	connection   Serve         Serve            its conn and session, running jobs too
//	borrower     a loop        Serve            a member's conn and session until it gives them back
//	batch        a loop        Serve            the sessions of those whose PUTs it hands to the engine
//	lookout      a conn        that conn        the conn's reading side while a job waits for more than a disk's time
//
// A loop itself runs on the listener goroutine of its socket, and owns the descriptors of its
// members, lent or not.
//
// Lock order: conns.mu, then conn.mu, then wire.mu; the rest (users.mu, usage.mu, names.mu) are
// leaves. None is held while a call to the engine is made, or one to the kernel that may wait.
package server
