package server

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// member is a connection of an event loop: what a goroutine of its own would have had, but for the
// goroutine and the buffers. A member that waits for its peer to ask owns neither.
type member struct {
	conn    conn // its nc is wire
	wire    wire
	session session // conn's
	alarm   alarm
	spares  *spares // see seat

	inSet  bool // the poller knows of it
	lent   bool // to a goroutine
	paused bool // the user has asked too much: nothing is read until the alarm
	turned bool // there is no room for it: it is told so, and that is all
	kept   bool // it has been lent once, and is not made another connection's

	batch  *batch // that its PUT is in; nil for none
	masked bool   // the poller tells at most of the peer's going
}

// attend reads what the peer has sent and answers it. It reads once: whoever has sent more has to wait until others
// have had their turn.
func (l *loop) attend(m *member) {
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
	n, err := receive(m.wire.fd, room)
	switch {
	case err == unix.EAGAIN:
	case err != nil:
		l.end(m, os.NewSyscallError("recv", err))
	case n == 0:
		l.end(m, io.EOF)
	case begun:
		c.in.add(n)
		l.answer(m, c.in.bytes())
	default:
		l.answer(m, room[:n])
	}
}

// answer answers the requests in b, which are those of m's own buffer, if it has any, or have just been read into the
// loop's.
func (l *loop) answer(m *member, b []byte) {
	m.session.out = l.out[:0]
	l.goOn(m, b)
}

// goOn is answer behind replies that the session has already appended to what was the loop's buffer.
func (l *loop) goOn(m *member, b []byte) {
	c := &m.conn
	own := c.in.len() > 0
	for {
		n, next := c.session.step(b)
		b = b[n:]
		if own {
			c.in.skip(n)
			b = c.in.bytes()
		}
		c.consumed(n)
		written, err := l.write(m)
		if err == nil && written && next == flush {
			c.session.out = l.out[:0]
			continue
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
		return
	}
}

// write writes the replies that have gathered in the loop's buffer, as far as the kernel takes them. What is left
// becomes m's own, for the goroutine that waits until the peer reads.
func (l *loop) write(m *member) (all bool, err error) {
	s := &m.session
	out := s.out
	s.out = nil
	n := 0
	if len(out) > 0 {
		if n, err = send(m.wire.fd, out); err != nil {
			err = os.NewSyscallError("send", err)
		}
	}
	if l.out = out[:0]; cap(out) > 2*maxOut {
		l.out = nil // what one huge reply took is left to the collector
	}
	if n == len(out) || err != nil {
		return true, err
	}
	l.keep(m, out[n:])
	return false, nil
}

// keep gives m replies of its own, to be written when the peer reads.
func (l *loop) keep(m *member, out []byte) {
	m.conn.out = l.server.outs.Get().(*[]byte)
	m.session.out = append((*m.conn.out)[:0], out...)
}

// listen waits for m to ask.
func (l *loop) listen(m *member) {
	c, cfg := &m.conn, &l.server.cfg
	switch {
	case c.in.len() > 0:
		if c.deadline != lineDeadline {
			c.deadline = lineDeadline
			l.alarms.set(&m.alarm, l.now()+cfg.lineTimeout())
		}
	case cfg.IdleTimeout > 0:
		c.deadline = idleDeadline
		l.alarms.set(&m.alarm, l.now()+cfg.IdleTimeout)
		l.giveRoom(c)
	default:
		c.deadline = noDeadline
		m.alarm.due = 0
		l.giveRoom(c)
	}
	if !m.inSet {
		l.enlist(m, unix.EPOLLIN)
	}
}

// enlist has the poller tell of events of m. It fails only where the kernel has no memory left, or
// too many are waited for (epoll(7), max_user_watches).
func (l *loop) enlist(m *member, events uint32) bool {
	var err error
	if m.inSet {
		err = l.poll.set(m.wire.fd, events)
	} else {
		err = l.poll.add(m.wire.fd, events)
	}
	if err != nil {
		l.end(m, os.NewSyscallError("epoll_ctl", err))
		return false
	}
	m.inSet = true
	return true
}

// pause lets the time pass that m's user has to wait for its turn.
func (l *loop) pause(m *member) {
	if m.conn.mayWarn() {
		m.conn.warn = true
		l.lend(m, slow) // a log may make who writes to it wait
		return
	}
	m.paused = true
	l.alarms.set(&m.alarm, l.now()+m.session.takeDelay())
}

// resume ends a pause.
func (l *loop) resume(m *member) {
	m.paused = false
	m.conn.deadline = noDeadline
	l.answer(m, m.conn.in.bytes())
}

// interrupt is what becomes of an event of a member that is paused: the peer has sent more, or is gone. The poller would tell
// of it again and again.
func (l *loop) interrupt(m *member) {
	if l.poll.remove(m.wire.fd) == nil {
		m.inSet = false
	}
}

// getRoom gives c a buffer, and giveRoom takes it back: who sends so fast that lines are torn does not need a new one
// each time.
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
