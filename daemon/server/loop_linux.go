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

// loop serves all connections of one listener on one goroutine, by one epoll(7), level-triggered:
// each event is one read, and all that came with it is answered by one write. Whatever may have to
// wait is not for the loop: the connection is lent to a goroutine, which drives it as every
// connection is driven where there is no loop, and comes back when there is nothing to do but to
// read. Such are a request whose answer is not cached, a peer that does not read what it is sent, a
// connection that ends with a word, and a log to be written to.
//
// What one member can make the others wait for is bounded: one read of 4 KiB and its answers at
// each turn. Members that have sent more take turns, since the poller tells of them in the order in
// which it looked at them last.
type loop struct {
	server *Server
	ctx    context.Context
	cancel func()       // ends ctx, when the listener has failed for good
	conns  *conns       // those that are lent
	start  func(func()) // starts a goroutine that Serve waits for
	poll   *epoll.Poller
	began  time.Time // the zero of now

	// Only run touches what follows.

	acceptor  *epoll.Acceptor
	stopping  bool // the loop accepts no more, and the acceptor is closed
	accepting accepting
	acceptAt  time.Duration // when to accept again after a failure; 0 for no such time
	fresh     []*member     // accepted in the last turn, and answered
	members   []*member     // by descriptor
	open      int           // how many there are
	lent      int           // how many of them are lent
	alarms    alarms
	batches   batches
	idle      []*member // ended, to be used again
	rooms     [][]byte  // of smallBuffer bytes, to be used again
	events    [events]epoll.Event
	group     group
	ahead     ahead             // of the group
	in        [smallBuffer]byte // for one that is read by itself
	out       []byte            // replies of the group, or of one that is by itself
	err       error             // why the listener has failed for good

	// Goroutines hand over what follows, and wake the poller.

	mu       sync.Mutex
	returned []returned
	ended    atomic.Bool
}

// returned is a member that comes back from the goroutine it was lent to, and how that ended.
type returned struct {
	m   *member
	err error
}

// The loop's bounds.
const (
	events     = 256 // taken from the poller at a time
	acceptTurn = 32  // connections accepted in one turn
	idleKept   = 64  // members and rooms kept to be used again
)

// loop returns what serves ln by an event loop, see carrier; nil where that cannot be.
func (s *Server) loop(ctx context.Context, stop func(), ln net.Listener, conns *conns, start func(func())) carrier {
	l, err := newLoop(s, ln)
	if err != nil {
		s.log.Debug("no event loop: a goroutine for each connection", "error", err)
		return nil
	}
	l.ctx, l.cancel, l.conns, l.start = ctx, stop, conns, start
	return l
}

func newLoop(s *Server, ln net.Listener) (*loop, error) {
	own, ok := ln.(*socket.Listener)
	if !ok {
		return nil, errors.New("not a socket of this package's")
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

// now is the time by which alarms are set. It is never 0.
func (l *loop) now() time.Duration { return time.Since(l.began) + 1 }

// run serves until ctx ends and the last member has gone. It returns an error only if the listener
// has failed for good.
func (l *loop) run() error {
	defer l.accepting.spares.Close()
	defer close(l.batches.hands)
	for {
		n := l.poll.Wait(l.events[:], l.timeout())
		lent := l.lent
		l.turn(l.events[:n])
		l.ring()
		ended := l.ended.Load()
		if ended {
			l.stop()
		}
		l.poll.CloseAll()
		if ended && l.open == 0 {
			return l.err
		}
		if l.dispatch() || l.lent > lent {
			runtime.Gosched() // they begin now: the kernel would not know that they could
		}
	}
}

// turn does what events call for.
func (l *loop) turn(events []epoll.Event) {
	knocked := false
	l.group.expect(len(events))
	for i := range events {
		ev := &events[i]
		switch fd := ev.Descriptor(); {
		case fd == l.acceptor.Descriptor() && !l.stopping:
			if ev.Events().Closed() { // shut down; accept would say EAGAIN for ever
				l.fail(os.NewSyscallError("accept", syscall.EINVAL))
			} else {
				knocked = true
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
	if knocked {
		l.accept()
	}
}

func (l *loop) wake() {
	l.ended.Store(true)
	l.poll.Wake()
}

// close is not for run, since whoever gives a member back wakes the poller a moment after.
func (l *loop) close() { l.poll.Close() }

// timeout is how long it is until something is due; less than none for for ever.
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

// happened does what an event of a member calls for. One that comes too late, after the member has
// ended and its descriptor has become another's, does no harm: there is nothing to read, or nothing
// has changed.
func (l *loop) happened(fd int, events epoll.Events) {
	m := l.members[fd]
	switch {
	case m == nil:
	case m.lent:
		m.wire.Happened()
	case m.batch != nil:
		l.disturbed(m, events)
	case m.paused:
		l.interrupt(m)
	case m.conn.in.len() == 0:
		l.receive(m, events)
	default:
		l.guard(m, func(m *member) { l.attend(m, events) })
	}
}

// guard does f for m. A fault of f ends m and nobody else.
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

// ring does what is due.
func (l *loop) ring() {
	if len(l.alarms) == 0 && l.acceptAt == 0 {
		return // nearly always: not worth a look at the clock
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

// stop ends the members that have nothing to wait for; of those that are lent, conns takes care.
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
			l.lend(m, slow) // what has been read is answered, and that without delay
		default:
			l.end(m, nil)
		}
	}
}
