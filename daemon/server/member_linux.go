package server

import (
	"tokend/daemon/access"
	"tokend/daemon/server/descriptors"
	"tokend/daemon/server/epoll"
	"tokend/daemon/server/socket"
)

// member is a connection of an event loop. While it waits for a request, it has neither a goroutine
// nor a buffer.
type member struct {
	conn    conn // its nc is wire
	wire    epoll.Wire
	session session // conn's
	alarm   alarm
	spares  *descriptors.Reserve // see admission

	lent    bool // to a goroutine
	paused  bool // the user has exceeded its allowance: nothing is read until the alarm
	refused bool // it is over the limit: it gets BUSY and is closed
	fresh   bool // it has not been read twice, and is not watched before
	kept    bool // it has been lent once, and is not reused

	batch  *batch // of its PUT; nil for none
	masked bool   // the poller reports at most that the peer has closed
}

// peerOf asks the kernel which process is at the other end of w, without its groups. Few rules need
// groups, and the call would delay clients that connect for one request.
func (l *loop) peerOf(w *epoll.Wire) (access.Peer, error) {
	if l.server.cfg.peer != nil {
		return l.server.cfg.peer(w)
	}
	return socket.User(w.Descriptor())
}

// groups returns the peer's groups. The kernel keeps them as long as the connection lasts.
func (m *member) groups() ([]uint32, error) { return socket.Groups(m.wire.Descriptor()) }

// attend reads what the peer has sent, and answers it. events is what the poller has reported. It
// reads once: the rest waits until the other members have been served.
func (l *loop) attend(m *member, events epoll.Events) {
	c := &m.conn
	if !c.admitLong() {
		c.session.failNone(errLong)
		l.lendWith(m, refuse)
		return
	}
	buf := l.in[:]
	begun := c.in.len() > 0
	if begun {
		buf = c.in.free()
	}
	n, err := m.wire.Receive(buf)
	switch {
	case err == epoll.ErrAgain:
	case err != nil:
		l.end(m, err)
	case !l.lookAgain(m, n == len(buf), events):
	case begun:
		c.in.add(n)
		l.answer(m, c.in.bytes())
	default:
		l.answer(m, buf[:n])
	}
}

// lookAgain is called after a read from m. The poller reports each event once. So m is watched
// again if more may be pending: the read may have filled its buffer, or the end may have arrived
// together with the last bytes. It returns false if that has ended m.
func (l *loop) lookAgain(m *member, filled bool, events epoll.Events) bool {
	m.fresh = m.fresh && !filled // it has sent more than one request
	if !m.wire.Watched() || !filled && !events.Ended() {
		return true
	}
	return l.enlist(m, epoll.Readable)
}

// answer answers the requests in b, which is m's own buffer, or what has just been read.
func (l *loop) answer(m *member, b []byte) {
	m.session.out = l.out[:0]
	l.proceed(m, b)
}

// proceed is answer after replies that the session has already appended to the loop's buffer.
func (l *loop) proceed(m *member, b []byte) {
	n, next := m.session.step(b)
	l.settle(m, l.consume(m, b, n), next)
}

// consume records that n bytes of b have been consumed, and returns the rest.
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

// settle writes m's replies and does what its session wants next. b is what the session has not
// consumed, in m's own buffer or in one of the loop's.
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
		l.takeBuffer(c)
		c.in.add(copy(c.in.free(), b))
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

// write writes the replies in the loop's buffer as far as the kernel takes them, see send.
func (l *loop) write(m *member) (all bool, err error) {
	out := m.session.out
	m.session.out = nil
	all, err = l.send(m, out)
	l.emptied(out)
	return all, err
}

// send sends out, which is m's replies, as far as the kernel takes them. The rest is copied to m,
// for the goroutine that waits until the peer reads.
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

// emptied makes out the loop's buffer again, after its replies have been sent.
func (l *loop) emptied(out []byte) {
	if l.out = out[:0]; cap(out) > 2*maxOut {
		l.out = nil // a buffer of one huge reply is left to the garbage collector
	}
}

// keep copies replies to m, to be written when the peer reads.
func (l *loop) keep(m *member, out []byte) {
	m.conn.out = l.server.outs.Get().(*[]byte)
	m.session.out = append((*m.conn.out)[:0], out...)
}

// listen waits for a request of m.
func (l *loop) listen(m *member) {
	if l.stopping && l.depart(m) {
		return
	}
	c, cfg, idle := &m.conn, &l.server.cfg, l.server.limits.Load().idle
	switch {
	case l.stopping: // the alarm is stop's
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

// rest records that m is idle, and busy that it is not.
func (l *loop) rest(m *member) {
	l.releaseBuffer(&m.conn)
	if !m.conn.idle.listed {
		l.server.users.idle(&m.conn)
	}
}

func (l *loop) busy(m *member) {
	if m.conn.idle.listed {
		l.server.users.busy(&m.conn)
	}
}

// enlist makes the poller report events of m. If that fails, it ends m and returns false.
func (l *loop) enlist(m *member, events epoll.Events) bool {
	if err := m.wire.Watch(events); err != nil {
		l.end(m, err)
		return false
	}
	m.fresh = false
	return true
}

// pause waits until the allowance of m's user has refilled.
func (l *loop) pause(m *member) {
	m.conn.warn = m.conn.mayWarn()
	if m.conn.warn || l.stopping {
		l.lend(m, slow) // writing to a log may wait, and the end of the loop's context ends the pause
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

// interrupt handles an event of a paused member: the peer has sent more, or has closed. Until the
// pause ends, no event of it is needed.
func (l *loop) interrupt(m *member) { m.wire.Unwatch() }

// takeBuffer gives c a buffer, and releaseBuffer takes it back, so that a peer whose requests
// arrive in parts does not need a new one each time.
func (l *loop) takeBuffer(c *conn) {
	if n := len(l.buffers); n > 0 && c.in.b == nil {
		c.in.b = l.buffers[n-1]
		l.buffers = l.buffers[:n-1]
	}
}

func (l *loop) releaseBuffer(c *conn) {
	if len(c.in.b) == smallBuffer && len(l.buffers) < idleKept {
		l.buffers = append(l.buffers, c.in.b)
	}
	c.in = buffer{}
}
