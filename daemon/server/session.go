package server

import (
	"context"
	"errors"
	"math"
	"time"

	"tokend/daemon/access"
	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/protocol"
)

// maxOut is how many bytes of replies are buffered before they are written, although more requests
// are pending. A single reply may exceed it.
const maxOut = 64 << 10

// action is what a session wants its driver to do next. The driver may also write out at any time
// between two steps.
type action uint8

const (
	more   action = iota // write out, read more, step again
	flush                // write out, step again
	slow                 // write out, sleep for takeDelay, step again
	wait                 // run the job, step again
	end                  // write out, close
	refuse               // write out, read on for a while, close
)

// session is the state machine of one connection: it is given bytes that have arrived, and appends
// replies to out. It never reads, writes or waits. Its driver does, and calls it from one goroutine
// at a time.
type session struct {
	server *Server
	peer   access.Peer
	user   *user  // of peer
	unit   string // the peer's systemd unit, for the audit log; "" until it is needed

	// out has the replies that are not yet written. The driver empties it.
	out []byte

	// job is to be run after step has returned wait.
	job job

	codec  codec // the line protocol until the first byte has chosen
	lines  lines // here, so that the codec of most sessions is made with the session
	chosen bool  // codec has been chosen

	verb protocol.Verb // of the request that is being answered; 0 for an invalid one

	rules   *access.Rules // that rights are based on
	rights  *access.Rights
	granted int // which grant has matched the last name; a hint, see mayGet

	// late returns the peer's groups, once a rule needs them; nil if peer has them already.
	late interface{ groups() ([]uint32, error) }

	// allowance is how many requests may be answered before draw takes more from the user's
	// allowance. delay is how long the session must wait before it uses what draw took.
	allowance int
	delay     time.Duration

	paid   bool          // the request that waits is paid for, see afford
	paidAt time.Duration // when the last long value is paid for, by the server's clock

	// now is the time by which cached decides; 0 if the clock must be read. It holds for one step,
	// in which nothing waits. Any time may pass between two steps, unless the driver knows the time
	// (stepAt).
	now clock.Instant

	feed *feed // changes to be sent while no request arrives; nil for none

	ahead *ahead // values that have been looked up for this step; nil for none

	leave func() // removes the job from a count after it has run; nil for none

	tally tally
}

// job is a request that may have to wait. While it runs, it owns the session.
type job struct {
	// run appends the reply to the session's out; flush writes what is in out so far. An error ends
	// the connection. Nil if the job is to store deposit.
	run func(ctx context.Context, flush func() error) error

	// deposit is the value of a PUT. A driver may pass several deposits to the engine at once.
	deposit credential.Deposit

	// waits says that run may wait for long, and gives up when ctx ends. The driver writes out
	// first, and ends ctx when the peer closes.
	waits bool

	// yields says that run ends when the peer sends something, by its ctx with the cause errInput.
	yields bool

	// last says that the connection ends with the job: ctx also ends when the peer sends
	// anything.
	last bool

	// brief says that run is normally short: it waits for the disk alone, or lists a few names.
	// Watching for a peer that closes during that time would cost more than it saves.
	brief bool
}

var (
	// errOver is returned by a job whose connection is to be closed without an error.
	errOver = errors.New("no more replies")

	// errGone is the cause of a job's ctx that has ended because the peer closed.
	errGone = errors.New("the peer has closed")
)

// newSession returns the session of peer, which is one of u. The caller calls close at the end.
func newSession(s *Server, peer access.Peer, u *user) *session {
	session := new(session)
	session.init(s, peer, u)
	return session
}

// init makes s, which is zero, the session of peer.
func (s *session) init(server *Server, peer access.Peer, u *user) {
	s.server, s.peer, s.user, s.codec = server, peer, u, &s.lines
}

// close returns the unused allowance to the user. The session is not used afterwards.
func (s *session) close() {
	s.release()
	s.codec.close(s)
	if s.allowance > 0 && !s.user.operator {
		s.user.pace.giveBack(s.server.limits.Load().pace, s.allowance)
		s.allowance = 0
	}
}

// perform runs j.
func (s *session) perform(ctx context.Context, j job, flush func() error) error {
	if j.run == nil {
		return s.store(ctx, j.deposit)
	}
	return j.run(ctx, flush)
}

// takeJob returns the job that step has requested, and clears it.
func (s *session) takeJob() job {
	j := s.job
	s.job = job{}
	return j
}

// step answers the whole requests at the beginning of in, up to the first that has to wait. It
// returns how many bytes it has consumed and what to do next. It keeps nothing of in.
func (s *session) step(in []byte) (n int, next action) { return s.stepAt(in, 0) }

// stepAt is step for a driver that has just read the engine's clock; 0 if it has not.
func (s *session) stepAt(in []byte, now clock.Instant) (n int, next action) {
	s.renewRights()
	s.now = now
	if !s.chosen {
		s.chooseCodec(in)
	}
	for codec := s.codec; next == more && len(in) > n; {
		if len(s.out) >= maxOut {
			next = flush
			break
		}
		request, name, size, err := codec.cut(in[n:])
		if err == errIncomplete {
			break
		}
		if err != nil {
			n, next = len(in), refuse
			s.failNone(err)
			break
		}
		if s.allowance <= 0 && !s.draw() {
			next = slow
			break
		}
		s.allowance--
		if next = s.answer(request, name); next == slow { // it is answered once it is paid for
			s.allowance++
			break
		}
		n += size
	}
	s.tally.add(&s.user.stats)
	if s.feed != nil && next == more && n == len(in) {
		next = s.listen()
	}
	return n, next
}

// chooseCodec chooses the codec by the first byte in in, if there is one.
func (s *session) chooseCodec(in []byte) {
	if len(in) > 0 {
		s.codec, s.chosen = s.server.codecOf(in[0], &s.lines), true
	}
}

// draw takes requests from the user's allowance, and reports whether they may be used at once.
func (s *session) draw() bool {
	if s.user.operator {
		s.allowance = math.MaxInt
		return true
	}
	limits, now := s.server.limits.Load(), s.server.clock()
	s.allowance = limits.quantum
	s.delay = max(s.paidAt-now, s.user.pace.take(now, limits.pace, limits.quantum))
	if s.delay > 0 {
		s.user.stats.slowed.Add(1)
	}
	return s.delay == 0
}

// takeDelay returns how long to wait when step has returned slow.
func (s *session) takeDelay() time.Duration {
	d := s.delay
	s.delay = 0
	return d
}

// acquire makes g count the next job until it has run, unless g has reached limit.
func (s *session) acquire(g *gauge, limit int) bool {
	if !g.enter(s.user.bound(limit)) {
		return false
	}
	s.leave = g.leave
	return true
}

// release ends what acquire or mayWait began.
func (s *session) release() {
	if s.leave != nil {
		s.leave()
		s.leave = nil
	}
}

// answer answers one request. It returns slow if the request must wait for the user's allowance.
func (s *session) answer(request, name []byte) action {
	if name != nil && s.hit(name) {
		return more // without parsing, which would be most of what a hit costs
	}
	if len(request) > longText {
		return s.answerLong(request)
	}
	return s.codec.answer(s, request)
}

// call answers one request: a verb with its arguments. Optional arguments may be nil. A new verb is
// a case here and a method.
func (s *session) call(v protocol.Verb, args [][]byte) action {
	if looks(v) && !s.afford(lookCost) {
		return slow
	}
	s.verb = v
	if v != protocol.VerbGet { // get counts it
		s.user.stats.asked[v].Add(1)
	}
	switch v {
	case protocol.VerbPing:
		return s.ping()
	case protocol.VerbVersion:
		return s.version()
	case protocol.VerbGet:
		return s.get(args[0])
	case protocol.VerbReject:
		return s.reject(args[0], args[1])
	case protocol.VerbRefresh:
		return s.refresh(args[0])
	case protocol.VerbPut:
		return s.put(args[0], args[1])
	case protocol.VerbExchange:
		return s.exchange(args[0], args[1])
	case protocol.VerbPush:
		return s.push(args[0], args[1:])
	case protocol.VerbImport:
		return s.importPage(args[0], args[1])
	case protocol.VerbSign:
		return s.sign(args[0], args[1])
	case protocol.VerbList:
		return s.list(args[0])
	case protocol.VerbStatus:
		return s.status(args[0])
	case protocol.VerbHistory:
		return s.history(args[0])
	case protocol.VerbStats:
		return s.stats()
	case protocol.VerbWatch:
		return s.watch(args[0])
	case protocol.VerbBackup:
		return s.backup()
	case protocol.VerbReload:
		return s.reload()
	case protocol.VerbQuit:
		return s.quit()
	}
	s.fail(errors.New("no method for " + v.String()))
	return more
}

func (s *session) ping() action {
	s.out = s.codec.pong(s.out)
	return more
}

func (s *session) version() action {
	s.out = s.codec.version(s.out, s.server.cfg.Version)
	return more
}

func (s *session) quit() action {
	s.out = s.codec.ok(s.out)
	return end
}

// do makes a job of run, which may take its time without waiting: it makes system calls, walks
// through many credentials, or writes more than fits in out.
func (s *session) do(run func(flush func() error) error) action {
	s.job = job{run: func(_ context.Context, flush func() error) error { return run(flush) }}
	return wait
}

// wait makes a job of ask, which may wait for owner as long as waitTimeout. ask appends the reply,
// or its error is the reply.
func (s *session) wait(owner string, ask func(context.Context) error) action {
	if !s.mayWait(owner) {
		return more
	}
	s.job = job{waits: true, run: func(ctx context.Context, _ func() error) error { return s.waiting(ctx, ask) }}
	return wait
}

// mayWait reports whether one more request of the user may wait for owner. If so, the caller makes
// a job that does. Otherwise mayWait has answered the request.
func (s *session) mayWait(owner string) bool {
	w := &s.user.waits
	if !w.enter(owner, s.user.bound(s.server.limits.Load().waits)) {
		s.fail(errWaits)
		return false
	}
	s.leave = func() { w.leave(owner) }
	return true
}

// waiting runs ask, see wait.
func (s *session) waiting(ctx context.Context, ask func(context.Context) error) error {
	defer s.release()
	if ctx.Err() != nil { // stopping: nothing new is started
		s.fail(ctx.Err())
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, s.server.cfg.waitTimeout)
	defer cancel()
	if !s.user.operator { // operators need no share of their own
		bounded = credential.WithUser(bounded, s.user)
	}
	switch err := ask(bounded); {
	case err == nil:
	case errors.Is(context.Cause(ctx), errGone):
		return errOver
	default:
		s.fail(err)
	}
	return nil
}

// failNone answers err to an invalid request.
func (s *session) failNone(err error) {
	s.verb = 0
	s.fail(err)
}

// fail answers err. A fault is logged, and the reply has the number of the log line.
func (s *session) fail(err error) {
	e := codeOf(err)
	if e == errInternal {
		e = &protocol.Error{Code: e.Code, RetryAfter: e.RetryAfter, Message: "internal error, see the log for request " + s.reportFault(err)}
	}
	s.user.stats.failed(s.verb, e.Code)
	s.out = s.codec.fail(s.out, e)
}
