package server

import (
	"context"
	"errors"
	"strconv"

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
	wait                 // run the job, step again
	end                  // write out, close
	refuse               // write out, then let the peer finish what it is saying before closing
)

// session is what one connection does with bytes: a machine that is handed what has
// been received and appends replies to out. It never reads, writes or waits;
// whoever drives it does, and calls it from one goroutine at a time.
type session struct {
	server *Server
	peer   Peer

	// out is replies that are not yet written. The driver empties it.
	out []byte

	// job is what has to be run when step has returned wait.
	job job

	request protocol.Request // here, and not on the stack, so that it is made once

	access *access // what rights were decided by
	rights *rights

	tally tally

	// The credential that the peer was given last, and its counter: most
	// peers ask for the same one again and again.
	lastName  []byte
	lastReads *reads
}

// job is a request that may have to wait. While it runs, the session is its own.
type job struct {
	// run appends the reply to the session's out; flush writes what there is of it. An error
	// means that the connection is over.
	run func(ctx context.Context, flush func() error) error

	// waits says that run may wait for long, and gives up when ctx ends: the
	// driver writes what the peer is still owed first, and ends ctx when the
	// peer goes away.
	waits bool

	// last says that the connection is the job's from now on: ctx also ends when the
	// peer sends anything at all.
	last bool
}

var (
	// errOver is what a job returns whose connection is to be closed in good order.
	errOver = errors.New("nothing more to say")

	// errGone is the cause of a job's ctx that has ended because the peer went away.
	errGone = errors.New("the peer is gone")
)

// newSession returns the session of peer.
func newSession(s *Server, peer Peer) *session {
	return &session{server: s, peer: peer}
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
func (s *session) step(in []byte) (n int, next action) {
	s.renewRights()
	for next == more && len(in) > n {
		if len(s.out) >= maxOut {
			next = flush
			break
		}
		line, rest, err := protocol.CutLine(in[n:])
		if errors.Is(err, protocol.ErrIncomplete) {
			break
		}
		if err != nil {
			n, next = len(in), refuse
			s.fail(err)
			break
		}
		n = len(in) - len(rest)
		next = s.answer(line)
	}
	s.tally.add(&s.server.stats)
	return n, next
}

// answer answers one request. A new verb is a line here and a method.
func (s *session) answer(line []byte) action {
	r := &s.request
	if err := r.Parse(line); err != nil {
		s.fail(err)
		return more
	}
	switch r.Verb {
	case protocol.VerbPing:
		return s.ping()
	case protocol.VerbVersion:
		return s.version()
	case protocol.VerbGet:
		return s.get(r.Args[0])
	case protocol.VerbReject:
		return s.reject(r.Args[0], r.Args[1])
	case protocol.VerbRefresh:
		return s.refresh(r.Args[0])
	case protocol.VerbPut:
		return s.put(r.Args[0], r.Args[1])
	case protocol.VerbExchange:
		return s.exchange(r.Args[0], r.Args[1])
	case protocol.VerbPush:
		return s.push(r.Args[0], r.Args[1:])
	case protocol.VerbImport:
		return s.importPage(r.Args[0], r.Args[1])
	case protocol.VerbSign:
		return s.sign(r.Args[0], r.Args[1])
	case protocol.VerbList:
		return s.list(r.Args[0])
	case protocol.VerbStatus:
		return s.status(r.Args[0])
	case protocol.VerbHistory:
		return s.history(r.Args[0])
	case protocol.VerbStats:
		return s.stats()
	case protocol.VerbWatch:
		return s.watch(r.Args[0])
	case protocol.VerbQuit:
		return s.quit()
	}
	s.fail(errors.New("no method for " + r.Verb.String()))
	return more
}

func (s *session) ping() action {
	s.out = protocol.AppendPong(s.out)
	return more
}

func (s *session) version() action {
	s.out = protocol.AppendVersion(s.out, s.server.cfg.Version)
	return more
}

func (s *session) quit() action {
	s.out = protocol.AppendOK(s.out)
	return end
}

// do makes a job of what does not wait for others but may take its time: it walks lists,
// asks the system, or writes more than fits in out.
func (s *session) do(run func(flush func() error) error) action {
	s.job = job{run: func(_ context.Context, flush func() error) error { return run(flush) }}
	return wait
}

// wait makes a job of what leaves the peer waiting for as long as [Config].WaitTimeout allows.
// ask appends the answer, or its error is the answer.
func (s *session) wait(ask func(context.Context) error) action {
	s.job = job{waits: true, run: func(ctx context.Context, _ func() error) error {
		if ctx.Err() != nil { // stopping: nothing is begun that nobody will wait for
			s.fail(ctx.Err())
			return nil
		}
		bounded, cancel := context.WithTimeout(ctx, s.server.cfg.waitTimeout())
		defer cancel()
		switch err := ask(bounded); {
		case err == nil:
		case errors.Is(context.Cause(ctx), errGone):
			return errOver
		default:
			s.fail(err)
		}
		return nil
	}}
	return wait
}

// renewRights decides what the peer may do, once for the connection, and once more
// after the rules have changed.
func (s *session) renewRights() {
	if a := s.server.access.Load(); a != s.access {
		s.access, s.rights = a, a.rightsOf(s.peer)
	}
}

// allowed reports whether the peer may use v on name, and answers if it may not.
func (s *session) allowed(v protocol.Verb, name []byte) bool {
	if granted, visible := s.rights.may(v, name); !granted {
		s.refuse(v, visible, errNotFound)
		return false
	}
	return true
}

// allowedOwner is allowed for an owner.
func (s *session) allowedOwner(v protocol.Verb, owner []byte) bool {
	if granted, visible := s.rights.mayOwn(v, owner); !granted {
		s.refuse(v, visible, errNoOwner)
		return false
	}
	return true
}

// refuse answers with hidden, or says that v is not granted on what may be seen.
func (s *session) refuse(v protocol.Verb, visible bool, hidden *protocol.Error) {
	if visible {
		s.deny(v)
	} else {
		s.fail(hidden)
	}
}

// granted is allowed for a verb that goes without a name.
func (s *session) granted(v protocol.Verb) bool {
	if s.rights.anywhere.has(v) {
		return true
	}
	s.deny(v)
	return false
}

func (s *session) deny(v protocol.Verb) {
	s.server.log.Debug("denied", "verb", v.String(), "uid", s.peer.UID, "pid", s.peer.PID)
	s.fail(&protocol.Error{Code: protocol.Denied, RetryAfter: protocol.Never,
		Message: v.String() + " is not granted to this user"})
}

// fail answers err. A fault goes to the log, and the peer is told where to find it
// there.
func (s *session) fail(err error) {
	e := codeOf(err)
	if e == errInternal {
		id := strconv.FormatUint(uint64(s.server.faults.Add(1)), 16)
		s.server.log.Error("internal error", "request", id, "uid", s.peer.UID, "pid", s.peer.PID, "error", err)
		e = &protocol.Error{Code: e.Code, RetryAfter: e.RetryAfter, Message: "internal error, see the log for request " + id}
	}
	s.server.stats.failed(e.Code)
	s.out = protocol.AppendError(s.out, e)
}
