package server

import (
	"tokend/daemon/access"
	"tokend/daemon/server/descriptors"
	"tokend/daemon/server/epoll"
	"tokend/daemon/server/socket"
)

// member is a connection of an event loop: what a goroutine of its own would have had, but for the
// goroutine and the buffers. A member that waits for its peer to ask owns neither.
type member struct {
	conn    conn // its nc is wire
	wire    epoll.Wire
	session session // conn's
	alarm   alarm
	spares  *descriptors.Reserve // see seat

	lent   bool // to a goroutine
	paused bool // the user has asked too much: nothing is read until the alarm
	turned bool // there is no room for it: it is told so, and that is all
	fresh  bool // it has not been looked at twice, and the poller need not hear of it before
	kept   bool // it has been lent once, and is not made another connection's

	batch  *batch // that its PUT is in; nil for none
	masked bool   // the poller tells at most of the peer's going
}

// peerOf asks the kernel who is at the other end of w, but for its groups: a client that connects
// for one request should not have to pay for what few rules want to know.
func (l *loop) peerOf(w *epoll.Wire) (access.Peer, error) {
	if l.server.cfg.peer != nil {
		return l.server.cfg.peer(w)
	}
	return socket.User(w.Descriptor())
}

// groups asks for the peer's groups. The kernel remembers for as long as the connection lasts.
func (m *member) groups() ([]uint32, error) { return socket.Groups(m.wire.Descriptor()) }

// attend reads what the peer has sent, of which events tell, and answers it. It reads once: whoever
// has sent more has to wait until others have had their turn.
func (l *loop) attend(m *member, events epoll.Events) {
	c := &m.conn
	if !c.admitLong() {
		c.session.failNone(errLong)
		l.lendWith(m, refuse)
		return
	}
	room := l.in[:]
	begun := c.in.len() > 0
	if begun {
		room = c.in.room()
	}
	n, err := m.wire.Receive(room)
	switch {
	case err == epoll.ErrAgain:
	case err != nil:
		l.end(m, err)
	case !l.lookAgain(m, n == len(room), events):
	case begun:
		c.in.add(n)
		l.answer(m, c.in.bytes())
	default:
		l.answer(m, room[:n])
	}
}

// lookAgain is called when something has been read of m. It has the poller tell of m once more
// where there may be something that it has told of already: a read that has filled its room may
// have left some, and the end of all may have come with the last of it. It returns false if that
// has ended m.
func (l *loop) lookAgain(m *member, filled bool, events epoll.Events) bool {
	m.fresh = m.fresh && !filled // there is more to it than one request
	if !m.wire.Watched() || !filled && !events.Ended() {
		return true
	}
	return l.enlist(m, epoll.Readable)
}

// answer answers the requests in b, which are those of m's own buffer, if it has any, or have just
// been read.
func (l *loop) answer(m *member, b []byte) {
	m.session.out = l.out[:0]
	l.goOn(m, b)
}

// goOn is answer behind replies that the session has already appended to what was the loop's
// buffer.
func (l *loop) goOn(m *member, b []byte) {
	n, next := m.session.step(b)
	l.settle(m, l.consume(m, b, n), next)
}

// consume takes note that n bytes of b have been consumed, and returns what is left.
func (l *loop) consume(m *member, b []byte, n int) []byte {
	c := &m.conn
	b = b[n:]
	if c.in.len() > 0 {
		c.in.skip(n)
		b = c.in.bytes()
	}
	c.consumed(n)
	return b
}

// settle writes m's replies and does what its session wants next. b is what the session has left,
// in m's own buffer or in one of the loop's.
func (l *loop) settle(m *member, b []byte, next action) {
	c := &m.conn
	own := c.in.len() > 0
	written, err := l.write(m)
	for err == nil && written && next == flush {
		var n int
		c.session.out = l.out[:0]
		n, next = c.session.step(b)
		b = l.consume(m, b, n)
		written, err = l.write(m)
	}
	if !own && len(b) > 0 {
		l.getRoom(c)
		c.in.add(copy(c.in.room(), b))
	}
	switch {
	case err != nil:
		l.end(m, err)
	case !written:
		l.lend(m, next)
	case next == more:
		l.listen(m)
	case next == slow:
		l.pause(m)
	case next == end:
		l.end(m, nil)
	case next == wait && m.session.job.run == nil:
		l.gather(m)
	default:
		l.lend(m, next)
	}
}

// write writes the replies that have gathered in the loop's buffer, as far as the kernel takes
// them, see send.
func (l *loop) write(m *member) (all bool, err error) {
	out := m.session.out
	m.session.out = nil
	all, err = l.send(m, out)
	l.emptied(out)
	return all, err
}

// send sends out, which is replies of m's, as far as the kernel takes it. What is left becomes m's
// own, for the goroutine that waits until the peer reads.
func (l *loop) send(m *member, out []byte) (all bool, err error) {
	n, err := m.wire.Send(out)
	switch {
	case err != nil:
		return false, err
	case n < len(out):
		l.keep(m, out[n:])
	}
	return n == len(out), nil
}

// emptied makes out, whose replies have been sent, the loop's buffer.
func (l *loop) emptied(out []byte) {
	if l.out = out[:0]; cap(out) > 2*maxOut {
		l.out = nil // what one huge reply took is left to the collector
	}
}

// keep gives m replies of its own, to be written when the peer reads.
func (l *loop) keep(m *member, out []byte) {
	m.conn.out = l.server.outs.Get().(*[]byte)
	m.session.out = append((*m.conn.out)[:0], out...)
}

// listen waits for m to ask.
func (l *loop) listen(m *member) {
	c, cfg, idle := &m.conn, &l.server.cfg, l.server.limits.Load().idle
	switch {
	case c.in.len() > 0:
		l.busy(m)
		if c.deadline != lineDeadline {
			c.deadline = lineDeadline
			l.alarms.set(&m.alarm, l.now()+cfg.lineTimeout)
		}
	case idle > 0:
		c.deadline = idleDeadline
		l.alarms.set(&m.alarm, l.now()+idle)
		l.rest(m)
	default:
		c.deadline = noDeadline
		m.alarm.due = 0
		l.rest(m)
	}
	switch {
	case m.wire.Watched():
	case m.fresh:
		l.fresh = append(l.fresh, m)
	default:
		l.enlist(m, epoll.Readable)
	}
}

// rest takes note that m has nothing under way, and busy that it has.
func (l *loop) rest(m *member) {
	l.giveRoom(&m.conn)
	if !m.conn.place.idle {
		l.server.users.idle(&m.conn)
	}
}

func (l *loop) busy(m *member) {
	if m.conn.place.idle {
		l.server.users.busy(&m.conn)
	}
}

// enlist has the poller tell of events of m. If that fails, it ends m and returns false.
func (l *loop) enlist(m *member, events epoll.Events) bool {
	if err := m.wire.Watch(events); err != nil {
		l.end(m, err)
		return false
	}
	m.fresh = false
	return true
}

// pause lets the time pass that m's user has to wait for its turn.
func (l *loop) pause(m *member) {
	if m.conn.mayWarn() {
		m.conn.warn = true
		l.lend(m, slow) // a log may make who writes to it wait
		return
	}
	l.busy(m)
	m.paused = true
	l.alarms.set(&m.alarm, l.now()+m.session.takeDelay())
}

// resume ends a pause.
func (l *loop) resume(m *member) {
	m.paused = false
	m.conn.deadline = noDeadline
	l.answer(m, m.conn.in.bytes())
}

// interrupt is what becomes of an event of a member that is paused: the peer has sent more, or is
// gone. The poller would tell of it again and again.
func (l *loop) interrupt(m *member) { m.wire.Unwatch() }

// getRoom gives c a buffer, and giveRoom takes it back: who sends so fast that lines are torn does
// not need a new one each time.
func (l *loop) getRoom(c *conn) {
	if n := len(l.rooms); n > 0 && c.in.b == nil {
		c.in.b = l.rooms[n-1]
		l.rooms = l.rooms[:n-1]
	}
}

func (l *loop) giveRoom(c *conn) {
	if len(c.in.b) == smallBuffer && len(l.rooms) < idleKept {
		l.rooms = append(l.rooms, c.in.b)
	}
	c.in = buffer{}
}
