package server

import (
	"errors"

	"tokend/daemon/server/epoll"
)

// This file lends members to goroutines. The loop only passes on the events of a member that is
// lent. The goroutine does not close the member, but returns it with the reason.

// lend starts a goroutine that does what the session of m wants next, and drives m until only a
// read is left.
func (l *loop) lend(m *member, next action) {
	c := &m.conn
	l.lendTo(m, func() error { return c.serve(l.ctx, next) })
}

// lendWith is lend for a session whose replies are in no buffer of the loop's.
func (l *loop) lendWith(m *member, next action) {
	out := m.session.out
	m.session.out = nil
	l.keep(m, out)
	l.lend(m, next)
}

// lendTo starts a goroutine that calls f. m ends with f, unless f returns errIdle.
func (l *loop) lendTo(m *member, f func() error) {
	l.busy(m)
	l.alarms.drop(&m.alarm)
	m.paused = false
	if !l.enlist(m, epoll.Closed) { // until the Wire asks for more events
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

// takeBack continues with the members that have been returned.
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
