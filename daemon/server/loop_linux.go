package server

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tokend/daemon/server/descriptors"
	"tokend/daemon/server/epoll"
	"tokend/daemon/server/socket"
)

// loop serves all connections of one listener on one goroutine: it reads once for each event, and
// answers all requests of that read by one write. It never waits. If a connection may have to wait,
// the loop lends it to a goroutine, which drives it by its conn and returns it when only a read is
// left. That happens for a request whose value is not cached, for a peer that does not read its
// replies, for a refused connection, and for a log line.
//
// A member delays the others by no more than one read of 4 KiB and the replies to it. Members that
// have sent more are served in order: the poller reports those first that were served longest ago.
type loop struct {
	server *Server
	ctx    context.Context
	cancel func()       // ends ctx, if the listener fails for good
	conns  *conns       // lent ones
	start  func(func()) // starts a goroutine that Serve waits for
	poll   *epoll.Poller
	began  time.Time // the zero of now

	// Only run uses the fields below.

	acceptor  *epoll.Acceptor
	stopping  bool // the loop accepts no more, and the acceptor is closed
	accepting accepting
	acceptAt  time.Duration // when to accept again after a failure; 0 for none
	fresh     []*member     // accepted and answered in the last round
	members   []*member     // by descriptor
	open      int           // number of members
	lent      int           // number of members that are lent
	alarms    alarms
	batches   batches
	idle      []*member // ended, to be reused
	buffers   [][]byte  // buffers of smallBuffer bytes, to be reused
	events    [events]epoll.Event
	group     group
	ahead     ahead             // of the group
	in        [smallBuffer]byte // of a member that is read outside a group
	out       []byte            // replies of the group, or of one member
	err       error             // why the listener has failed for good

	// Other goroutines set the fields below, and wake the poller.

	mu       sync.Mutex
	returned []returned
	ended    atomic.Bool
}

// returned is a member that a goroutine has returned, with the result of the loan.
type returned struct {
	m   *member
	err error
}

// The loop's bounds.
const (
	events     = 256 // taken from the poller at once
	acceptMost = 32  // connections accepted in one round
	idleKept   = 64  // members and buffers kept for reuse
)

// loop returns an event loop for ln, nil if ln or the system does not allow one.
func (s *Server) loop(ctx context.Context, stop func(), ln net.Listener, conns *conns, start func(func())) carrier {
	l, err := newLoop(s, ln)
	if err != nil {
		s.log.Debug("no event loop: using a goroutine for each connection", "error", err)
		return nil
	}
	l.ctx, l.cancel, l.conns, l.start = ctx, stop, conns, start
	return l
}

func newLoop(s *Server, ln net.Listener) (*loop, error) {
	own, ok := ln.(*socket.Listener)
	if !ok {
		return nil, errors.New("not a socket of package socket")
	}
	fd, err := own.Duplicate()
	if err != nil {
		return nil, err
	}
	poll, err := epoll.New()
	if err != nil {
		return nil, errors.Join(err, syscall.Close(fd))
	}
	acceptor, err := poll.Acceptor(fd)
	if err != nil {
		poll.Close()
		return nil, errors.Join(err, syscall.Close(fd))
	}
	own.Release()
	return &loop{server: s, accepting: accepting{spares: descriptors.NewReserve()}, poll: poll, began: time.Now(), acceptor: acceptor, batches: newBatches()}, nil
}

// now is the time that alarms use. It is never 0.
func (l *loop) now() time.Duration { return time.Since(l.began) + 1 }

// run serves until ctx ends and the last member has ended. It returns an error only if the listener
// has failed for good.
func (l *loop) run() error {
	defer l.accepting.spares.Close()
	defer close(l.batches.hands)
	for {
		n := l.poll.Wait(l.events[:], l.timeout())
		lent := l.lent
		l.handle(l.events[:n])
		l.runAlarms()
		ended := l.ended.Load()
		if ended {
			l.stop()
		}
		l.poll.CloseAll()
		if ended && l.open == 0 {
			return l.err
		}
		if l.dispatch() || l.lent > lent {
			runtime.Gosched() // so that they start now
		}
	}
}

// handle handles events.
func (l *loop) handle(events []epoll.Event) {
	pending := false
	l.group.expect(len(events))
	for i := range events {
		ev := &events[i]
		switch fd := ev.Descriptor(); {
		case fd == l.acceptor.Descriptor() && !l.stopping:
			if ev.Events().Closed() { // shut down: accept would return EAGAIN forever
				l.fail(os.NewSyscallError("accept", syscall.EINVAL))
			} else {
				pending = true
			}
		case l.poll.Woken(fd):
			l.takeBack()
			l.takeBatches()
		default:
			l.happened(fd, ev.Events())
		}
	}
	l.answerGroup()
	l.revisit()
	if pending {
		l.accept()
	}
}

func (l *loop) wake() {
	l.ended.Store(true)
	l.poll.Wake()
}

// close is called after run: a goroutine that returns a member wakes the poller afterwards.
func (l *loop) close() { l.poll.Close() }

// timeout returns how long Wait may wait; a negative result is forever.
func (l *loop) timeout() time.Duration {
	if len(l.fresh) > 0 {
		return 0
	}
	due, set := l.alarms.first()
	if l.acceptAt != 0 && (!set || l.acceptAt < due) {
		due, set = l.acceptAt, true
	}
	if at, waits := l.batches.overdue(); waits && (!set || at < due) {
		due, set = at, true
	}
	if !set {
		return -1
	}
	return max(0, due-l.now())
}

// happened handles an event of a member. An event that is reported after the member has ended may
// be taken for one of the next member with this descriptor. That does no harm: there is nothing to
// read.
func (l *loop) happened(fd int, events epoll.Events) {
	m := l.members[fd]
	switch {
	case m == nil:
	case m.lent:
		m.wire.Happened()
	case m.batch != nil:
		l.eventInBatch(m, events)
	case m.paused:
		l.interrupt(m)
	case m.conn.in.len() == 0:
		l.receive(m, events)
	default:
		l.guard(m, func(m *member) { l.attend(m, events) })
	}
}

// guard calls f for m. A panic of f ends m, and no other member.
func (l *loop) guard(m *member, f func(*member)) {
	defer func() {
		if fault := recover(); fault != nil {
			l.server.report(fault)
			if l.members[m.wire.Descriptor()] == m && !m.lent {
				l.end(m, errBroken)
			}
		}
	}()
	f(m)
}

// runAlarms handles the alarms that are due.
func (l *loop) runAlarms() {
	if len(l.alarms) == 0 && l.acceptAt == 0 {
		return // nearly always, without reading the clock
	}
	now := l.now()
	if l.acceptAt != 0 && l.acceptAt <= now {
		l.acceptAgain()
	}
	for a := l.alarms.next(now); a != nil; a = l.alarms.next(now) {
		if a.of.paused {
			l.guard(a.of, l.resume)
		} else {
			l.end(a.of, os.ErrDeadlineExceeded)
		}
	}
}

// stop ends the members that are not waiting, after what they have sent is answered. Those that
// have sent no request yet have silentGrace. conns.stop wakes those that are lent.
func (l *loop) stop() {
	if l.stopping {
		return
	}
	l.acceptor.Close()
	l.stopping, l.acceptAt = true, 0
	for _, m := range l.members {
		switch {
		case m == nil || m.lent || m.batch != nil:
		case m.paused:
			m.paused = false
			l.lend(m, slow) // what has been read is answered without delay
		default:
			l.alarms.set(&m.alarm, l.now()+l.server.cfg.silentGrace)
			l.guard(m, l.lastRead)
		}
	}
}

// lastRead answers what m has sent while the loop stops: closing a connection with unread bytes
// would reset it.
func (l *loop) lastRead(m *member) {
	l.attend(m, 0)
	if l.members[m.wire.Descriptor()] == m && !m.lent && !m.paused && m.batch == nil {
		l.depart(m)
	}
}

// depart ends m while the loop stops, unless m is still to send its first request. It reports
// whether m has ended.
func (l *loop) depart(m *member) bool {
	if m.conn.served {
		l.end(m, nil)
	}
	return m.conn.served
}
