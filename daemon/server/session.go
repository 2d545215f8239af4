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

// maxOut is how many bytes of replies gather before they are written although more
// requests are at hand. One reply may go beyond it.
const maxOut = 64 << 10

// action is what a session wants its driver to do next. Whatever it is, the driver
// may write what has gathered in out at any time between two steps.
type action uint8

const (
	more   action = iota // write out, read more, step again
	flush                // write out, step again
	slow                 // write out, let takeDelay pass, step again
	wait                 // run the job, step again
	end                  // write out, close
	refuse               // write out, then let the peer finish what it is saying before closing
)

// session is what one connection does with bytes: a machine that is handed what has
// been received and appends replies to out. It never reads, writes or waits;
// whoever drives it does, and calls it from one goroutine at a time.
type session struct {
	server *Server
	peer   access.Peer
	user   *user  // of peer
	unit   string // peer's systemd unit, for the audit; "" until it has been asked for

	// out is replies that are not yet written. The driver empties it.
	out []byte

	// job is what has to be run when step has returned wait.
	job job

	codec  codec // the line protocol until the first byte has chosen
	lines  lines // here, so that the codec of most sessions is made with the session
	chosen bool  // codec has been chosen

	verb protocol.Verb // of the request that is being answered; 0 for what is no request

	rules   *access.Rules // that rights were decided by
	rights  *access.Rights
	granted int // which of rights' grants has granted the last name; a guess, see mayGet

	// late tells peer's groups, which are asked for when there is a rule for groups; nil where peer
	// has them already.
	late interface{ groups() ([]uint32, error) }

	// allowance is how many requests may be answered before more has to be drawn from the
	// user's. delay is how long it is until what was drawn last may be used.
	allowance int
	delay     time.Duration

	paid   bool          // the request that waits has been paid for, see afford
	paidAt time.Duration // when the last long value will have been, by the server's clock

	// now is what cached goes by; 0 where the clock has to be looked at. It is good for one step:
	// nothing in it waits, but between two steps any time may pass, unless the driver knows better
	// (stepAt).
	now clock.Instant

	ahead *ahead // what has been looked up for this step; nil for nothing

	leave func() // ends what the job is counted in, when it has run; nil for nothing

	tally tally
}

// job is a request that may have to wait. While it runs, the session is its own.
type job struct {
	// run appends the reply to the session's out; flush writes what there is of it. An error
	// means that the connection is over. Nil where the job is to store deposit.
	run func(ctx context.Context, flush func() error) error

	// deposit is what a PUT hands in. A driver that has several at once may hand them to the engine
	// together.
	deposit credential.Deposit

	// waits says that run may wait for long, and gives up when ctx ends: the
	// driver writes what the peer is still owed first, and ends ctx when the
	// peer goes away.
	waits bool

	// last says that the connection is the job's from now on: ctx also ends when the
	// peer sends anything at all.
	last bool

	// brief says that run waits for the disk alone, unless something is wrong: to find out that the
	// peer goes away meanwhile would cost more than it is worth.
	brief bool
}

var (
	// errOver is what a job returns whose connection is to be closed in good order.
	errOver = errors.New("nothing more to say")

	// errGone is the cause of a job's ctx that has ended because the peer went away.
	errGone = errors.New("the peer is gone")
)

// newSession returns the session of peer, which is one of u's. The caller calls close at its
// end.
func newSession(s *Server, peer access.Peer, u *user) *session {
	session := new(session)
	session.init(s, peer, u)
	return session
}

// init makes s, which is zero, the session of peer.
func (s *session) init(server *Server, peer access.Peer, u *user) {
	s.server, s.peer, s.user, s.codec = server, peer, u, &s.lines
}

// close gives back what the session holds of its user's. It is not used any more then.
func (s *session) close() {
	s.letGo()
	if s.allowance > 0 && !s.user.operator {
		s.user.pace.giveBack(s.server.limits.Load().pace, s.allowance)
		s.allowance = 0
	}
}

// perform does j.
func (s *session) perform(ctx context.Context, j job, flush func() error) error {
	if j.run == nil {
		return s.store(ctx, j.deposit)
	}
	return j.run(ctx, flush)
}

// takeJob returns the job that step has asked for, and lets go of it.
func (s *session) takeJob() job {
	j := s.job
	s.job = job{}
	return j
}

// step answers the whole lines at the beginning of in, up to the first that has to wait, and
// returns how many bytes it consumed and what is to be done next. It keeps nothing
// of in.
func (s *session) step(in []byte) (n int, next action) { return s.stepAt(in, 0) }

// stepAt is step for a driver that has looked at the engine's clock a moment before; 0 where it has
// not.
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
		if next = s.answer(request, name); next == slow { // it is answered when it is paid for
			s.allowance++
			break
		}
		n += size
	}
	s.tally.add(&s.user.stats)
	return n, next
}

// chooseCodec chooses the codec by the first byte in in, if there is one.
func (s *session) chooseCodec(in []byte) {
	if len(in) > 0 {
		s.codec, s.chosen = s.server.codecOf(in[0], &s.lines), true
	}
}

// draw draws the next ration of requests, and reports whether it may be used at once.
func (s *session) draw() bool {
	if s.user.operator {
		s.allowance = math.MaxInt
		return true
	}
	limits, now := s.server.limits.Load(), s.server.clock()
	s.allowance = limits.ration
	s.delay = max(s.paidAt-now, s.user.pace.take(now, limits.pace, limits.ration))
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

// hold makes the next job hold one of g until it has run, unless limit are held.
func (s *session) hold(g *gauge, limit int) bool {
	if !g.enter(s.user.bound(limit)) {
		return false
	}
	s.leave = g.leave
	return true
}

// letGo ends hold.
func (s *session) letGo() {
	if s.leave != nil {
		s.leave()
		s.leave = nil
	}
}

// answer answers one request. It returns slow where that has to wait until the user may ask again.
func (s *session) answer(request, name []byte) action {
	if name != nil && s.hit(name) {
		return more // unparsed: that is most of what a hit costs
	}
	if len(request) > longText {
		return s.answerLong(request)
	}
	return s.codec.answer(s, request)
}

// call answers one request, which is a verb with the arguments that it takes; those that may be
// left out are nil. A new verb is a line here and a method.
func (s *session) call(v protocol.Verb, args [][]byte) action {
	if looks(v) && !s.afford(lookCost) {
		return slow
	}
	s.verb = v
	if v != protocol.VerbGet { // which get counts
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

// do makes a job of what does not wait for others but may take its time: it
// asks the system, walks through much, or writes more than fits in out.
func (s *session) do(run func(flush func() error) error) action {
	s.job = job{run: func(_ context.Context, flush func() error) error { return run(flush) }}
	return wait
}

// wait makes a job of what leaves the peer waiting for owner, for as long as waitTimeout allows.
// ask appends the answer, or its error is the answer.
func (s *session) wait(owner string, ask func(context.Context) error) action {
	if !s.mayWait(owner) {
		return more
	}
	s.job = job{waits: true, run: func(ctx context.Context, _ func() error) error { return s.waiting(ctx, ask) }}
	return wait
}

// mayWait reports whether one more request of the user's may wait for owner; if so, the next job is
// to be one that does. Otherwise the answer has been given.
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
	defer s.letGo()
	if ctx.Err() != nil { // stopping: nothing is begun that nobody will wait for
		s.fail(ctx.Err())
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, s.server.cfg.waitTimeout)
	defer cancel()
	if !s.user.operator { // nothing is kept from operators for others
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

// failNone answers err to what is no request.
func (s *session) failNone(err error) {
	s.verb = 0
	s.fail(err)
}

// fail answers err. A fault goes to the log, and the peer is told where to find it
// there.
func (s *session) fail(err error) {
	e := codeOf(err)
	if e == errInternal {
		e = &protocol.Error{Code: e.Code, RetryAfter: e.RetryAfter, Message: "internal error, see the log for request " + s.reportFault(err)}
	}
	s.user.stats.failed(s.verb, e.Code)
	s.out = s.codec.fail(s.out, e)
}
