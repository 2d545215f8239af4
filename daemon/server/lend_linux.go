package server

import (
	"errors"

	"tokend/daemon/server/epoll"
)

// How members change hands. The loop does not touch one that is lent, but to pass on what the
// poller tells of it; the goroutine that has it does not close it, but gives it back with the word
// that it is over.

// lend has a goroutine do what the session of m wants next, and all that follows from it until
// there is nothing to do but to read.
func (l *loop) lend(m *member, next action) {
	c := &m.conn
	l.lendTo(m, func() error { return c.serve(l.ctx, next) })
}

// lendWith is lend with the replies that m's session has appended to nothing.
func (l *loop) lendWith(m *member, next action) {
	out := m.session.out
	m.session.out = nil
	l.keep(m, out)
	l.lend(m, next)
}

// lendTo has a goroutine do f. m ends with f, unless that returns errIdle.
func (l *loop) lendTo(m *member, f func() error) {
	l.busy(m)
	l.alarms.drop(&m.alarm)
	m.paused = false
	if !l.enlist(m, epoll.Closed) { // until it asks for more than that
		return
	}
	m.wire.Lend()
	m.lent, m.kept = true, true
	l.lent++
	l.start(func() {
		err := l.server.host(&m.conn, l.conns, f)
		l.mu.Lock()
		l.returned = append(l.returned, returned{m, err})
		first := len(l.returned) == 1
		l.mu.Unlock()
		if first {
			l.poll.Wake()
		}
	})
}

// takeBack takes the members that have come back.
func (l *loop) takeBack() {
	l.mu.Lock()
	all := l.returned
	l.returned = nil
	l.mu.Unlock()
	for _, r := range all {
		r.m.lent = false
		l.lent--
		switch {
		case !errors.Is(r.err, errIdle):
			l.end(r.m, r.err)
		case l.stopping:
			l.end(r.m, nil)
		case l.enlist(r.m, epoll.Readable):
			l.listen(r.m)
		}
	}
}
