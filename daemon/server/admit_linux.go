package server

import (
	"errors"

	"tokend/daemon/server/epoll"
	"tokend/daemon/server/socket"
)

// accept takes connections out of the listener's queue, as many as one turn allows, and answers at
// once what they have sent already: a client that connects for one request has sent it by then.
func (l *loop) accept() {
	for range acceptTurn {
		fd, err := l.acceptor.Accept()
		switch {
		case err == nil:
			l.admit(fd)
			l.accepting.succeeded()
		case err == epoll.ErrAgain:
			return
		case l.refused(err):
			return
		}
	}
}

// refused is what becomes of an accept that has failed with err. It reports whether the loop
// accepts no more, for a while or for good.
func (l *loop) refused(err error) bool {
	if !passing(err) {
		l.fail(err)
		return true
	}
	pause, say := l.accepting.failed(err)
	if say {
		l.start(func() { l.server.cannotAccept(err) })
	}
	if pause > 0 {
		l.acceptor.Pause() // or it would go on to tell of those who knock
		l.acceptAt = l.now() + pause
	}
	return pause > 0
}

// fail ends the loop, in good order: the listener has failed for good.
func (l *loop) fail(err error) {
	l.err = err
	l.cancel()
	l.acceptor.Pause()
}

// acceptAgain ends the pause after a failure.
func (l *loop) acceptAgain() {
	l.acceptAt = 0
	if err := l.acceptor.Resume(); err != nil {
		l.refused(err)
		return
	}
	l.accept()
}

// admit does what [Server.admit] does.
func (l *loop) admit(fd int) {
	s := l.server
	m := l.newMember(fd)
	peer, err := l.peerOf(&m.wire)
	if err != nil {
		l.notKnown(m, err)
		return
	}
	at, err := s.judge(peer, l.accepting.spares.Free(fd), l.accepting.spares, l.mayOust)
	if at.ousted != nil {
		uid := at.ousted.session.user.uid
		l.end(l.members[socket.Descriptor(at.ousted.nc)], errOusted)
		if s.maySayFull() {
			l.start(func() { s.sayFull(uid) })
		}
	}
	switch {
	case err == nil:
		l.take(m, at)
		l.guard(m, l.welcome)
	case errors.Is(err, errTooMany) && s.mayTurnAway():
		m.turned = true
		l.take(m, at)
		l.lendTo(m, func() error { return s.turnAway(&m.conn) })
	case errors.Is(err, errTooMany), errors.Is(err, errSpent):
		if s.maySaySpent(err) {
			l.start(s.saySpent)
		}
		dismissBriefly(&m.wire)
		l.poll.CloseAll() // a spare has the place
		l.accepting.spares.Refill()
	}
}

// notKnown refuses m, whose peer is not known.
func (l *loop) notKnown(m *member, err error) {
	l.start(func() { l.server.notKnown(err) })
	_ = m.wire.Close()
}

// mayOust reports whether c, which is idle, can be closed: it is one of l's, and has sent nothing.
func (l *loop) mayOust(c *conn) bool {
	w, ok := c.nc.(*epoll.Wire)
	return ok && w.Of(l.poll) && socket.Quiet(w)
}

// welcome answers what m has sent by now, and then waits for more.
func (l *loop) welcome(m *member) {
	if next := m.session.greet(); next != more {
		l.lend(m, next)
		return
	}
	answered := len(l.fresh)
	l.attend(m, 0)
	if l.idles(m) && len(l.fresh) == answered { // it has not asked yet, and may take its time
		m.fresh = false
		l.listen(m)
	}
}

// idles reports whether m is still a member, nothing is under way for it, and the poller does not
// know of it.
func (l *loop) idles(m *member) bool {
	return l.members[m.wire.Descriptor()] == m && !m.wire.Watched() && !m.paused && m.batch == nil
}

// revisit looks once more at those who came in the last turn and were answered: most of those that
// connect for one request have closed by now, and the poller never has to hear of them. That is a
// tenth of what such a client costs, where there are others to serve meanwhile.
func (l *loop) revisit() {
	for i, m := range l.fresh {
		l.fresh[i] = nil
		if !m.fresh || !l.idles(m) { // it has ended; it may even be another connection's
			continue
		}
		m.fresh = false
		l.guard(m, func(m *member) {
			l.attend(m, 0)
			if l.idles(m) {
				l.listen(m)
			}
		})
	}
	l.fresh = l.fresh[:0]
}

// newMember returns a member that is none yet: its descriptor is all that it has.
func (l *loop) newMember(fd int) *member {
	var m *member
	if n := len(l.idle); n > 0 {
		m, l.idle[n-1] = l.idle[n-1], nil
		l.idle = l.idle[:n-1]
	} else {
		m = new(member)
	}
	m.wire.Open(l.poll, fd)
	return m
}

// take makes m one of the members.
func (l *loop) take(m *member, at seat) {
	m.session = session{}
	m.session.init(l.server, at.peer, at.user)
	m.spares, m.fresh = at.spares, true
	m.conn.server, m.conn.nc, m.conn.session, m.conn.borrowed = l.server, &m.wire, &m.session, true
	if l.server.cfg.peer == nil {
		m.session.late = m
	}
	m.alarm.of = m
	fd := m.wire.Descriptor()
	for len(l.members) <= fd {
		l.members = append(l.members, nil)
	}
	l.members[fd] = m
	l.open++
}

// end closes m. err says why, see ordinary.
func (l *loop) end(m *member, err error) {
	s := l.server
	l.members[m.wire.Descriptor()] = nil
	l.open--
	l.alarms.drop(&m.alarm)
	m.conn.close()
	if m.turned {
		s.turnaways.Add(-1)
	} else {
		s.leave(seat{user: m.session.user, spares: m.spares}, &m.conn)
	}
	s.closed(&m.conn, err)
	if !m.kept && len(l.idle) < idleKept {
		*m = member{}
		l.idle = append(l.idle, m)
	}
}
