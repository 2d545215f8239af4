package server

import (
	"errors"

	"tokend/daemon/server/epoll"
	"tokend/daemon/server/socket"
)

// accept accepts up to acceptMost connections, and answers at once the requests that they have
// sent: a client that connects for one request has usually sent it by then.
func (l *loop) accept() {
	for range acceptMost {
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

// refused handles an accept that has failed with err. It reports whether the loop stops accepting,
// for a while or for good.
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
		l.acceptor.Pause() // or it would report pending connections at each wait
		l.acceptAt = l.now() + pause
	}
	return pause > 0
}

// fail ends the loop after its connections: the listener has failed for good.
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
	at, err := s.decide(peer, l.accepting.spares.Free(fd), l.accepting.spares, l.mayEvict)
	if at.evicted != nil {
		uid := at.evicted.session.user.uid
		l.end(l.members[socket.Descriptor(at.evicted.nc)], errEvicted)
		if s.maySayFull() {
			l.start(func() { s.sayFull(uid) })
		}
	}
	switch {
	case err == nil:
		l.take(m, at)
		l.guard(m, l.welcome)
	case errors.Is(err, errTooMany) && s.mayRefuseBusy():
		m.refused = true
		l.take(m, at)
		l.lendTo(m, func() error { return s.refuseBusy(&m.conn) })
	case errors.Is(err, errTooMany), errors.Is(err, errSpent):
		if s.maySaySpent(err) {
			l.start(s.saySpent)
		}
		dismissBriefly(&m.wire)
		l.poll.CloseAll() // a spare takes the descriptor
		l.accepting.spares.Refill()
	}
}

// notKnown refuses m, because its peer is not known.
func (l *loop) notKnown(m *member, err error) {
	l.start(func() { l.server.notKnown(err) })
	_ = m.wire.Close()
}

// mayEvict reports whether c, which is idle, can be closed: it is l's own, and has sent nothing.
func (l *loop) mayEvict(c *conn) bool {
	w, ok := c.nc.(*epoll.Wire)
	return ok && w.Of(l.poll) && socket.Quiet(w)
}

// welcome answers the requests that m has sent, and then waits for more.
func (l *loop) welcome(m *member) {
	if next := m.session.greet(); next != more {
		l.lend(m, next)
		return
	}
	answered := len(l.fresh)
	l.attend(m, 0)
	if l.idles(m) && len(l.fresh) == answered { // it has sent no request yet
		m.fresh = false
		l.listen(m)
	}
}

// idles reports whether m is still a member, has no request in progress, and is not watched.
func (l *loop) idles(m *member) bool {
	return l.members[m.wire.Descriptor()] == m && !m.wire.Watched() && !m.paused && m.batch == nil
}

// revisit reads again from the members that were accepted and answered in the last round. Clients
// that connect for one request have closed by now, and the poller never has to watch them. That
// saves a tenth of the cost of such a client while there are others to serve.
func (l *loop) revisit() {
	for i, m := range l.fresh {
		l.fresh[i] = nil
		if !m.fresh || !l.idles(m) { // it has ended, and may have been reused
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

// newMember returns a member with a descriptor and nothing else. It is not added yet.
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

// take adds m to the members.
func (l *loop) take(m *member, at admission) {
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

// end closes m. err is the reason, see ordinary.
func (l *loop) end(m *member, err error) {
	s := l.server
	l.members[m.wire.Descriptor()] = nil
	l.open--
	l.alarms.drop(&m.alarm)
	m.conn.close()
	if m.refused {
		s.refusing.Add(-1)
	} else {
		s.leave(admission{user: m.session.user, spares: m.spares}, &m.conn)
	}
	s.closed(&m.conn, err)
	if !m.kept && len(l.idle) < idleKept {
		*m = member{}
		l.idle = append(l.idle, m)
	}
}
