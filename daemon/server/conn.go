package server

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"tokend/daemon/access"
	"tokend/daemon/server/socket"
)

// What is read of a peer that has been refused, so that it gets to read why: a close
// with unread bytes would reset it while it still writes.
const (
	lingerBytes = 1 << 20
	lingerTime  = time.Second
)

// lastWords is how much is read of what ends a watch, such as a QUIT, and for the same reason: what
// is left of it would make a reset of the end.
const lastWords = 512

// conn drives one session over one connection, on one goroutine: it reads, steps,
// writes, and runs jobs. A connection of an event loop is driven so while it has to wait.
type conn struct {
	server  *Server
	nc      net.Conn
	session *session
	in      buffer

	// out is the room that the session's replies gather in: lent by the server
	// while there is something to answer, so that idle connections own none. Nil otherwise.
	out *[]byte

	// readErr is the end of the peer's sending, met while a job waited.
	readErr error

	// deadline is what the read deadline was last set for.
	deadline deadline

	place place

	long bool // in may be large

	borrowed bool // from an event loop, which reads what comes next
	warn     bool // the log is to say that the user is slowed

	mu    sync.Mutex // guards the read deadline between serve and wake
	awake bool       // the read deadline stays in the past
}

// errIdle says that a borrowed connection can be given back.
var errIdle = errors.New("nothing to do but to read")

// deadline is what a connection's read deadline stands for.
type deadline uint8

const (
	noDeadline deadline = iota
	idleDeadline
	lineDeadline
)

func newConn(s *Server, nc net.Conn, peer access.Peer, u *user) *conn {
	return &conn{server: s, nc: nc, session: newSession(s, peer, u)}
}

// close closes the connection and gives back what it holds of its user's.
func (c *conn) close() {
	if c.long {
		c.session.user.long.leave()
	}
	c.session.close()
	_ = c.nc.Close()
}

// serve answers requests until the peer has none left, or there is an error, or ctx
// ends. next is what is to be done first: more at the beginning. Its error says why it ended (see
// ordinary); errIdle, that a borrowed connection has nothing to do but to read.
func (c *conn) serve(ctx context.Context, next action) error {
	for {
		err := c.act(ctx, next)
		switch {
		case errors.Is(err, errOver):
			return c.flush()
		case errors.Is(err, errLong):
			c.borrow()
			c.session.failNone(err)
			next = refuse
			continue
		case err != nil, next == end, next == refuse:
			return err
		}
		c.borrow()
		var n int
		n, next = c.session.step(c.in.bytes())
		c.in.skip(n)
		c.consumed(n)
	}
}

// act does what the session wants done.
func (c *conn) act(ctx context.Context, next action) error {
	if next == wait {
		return c.run(ctx)
	}
	err := c.flush()
	switch {
	case err != nil:
		return err
	case next == more:
		return c.read()
	case next == slow:
		c.pause(ctx)
	case next == refuse:
		c.linger()
	}
	return nil
}

// consumed takes note that n bytes have been consumed.
func (c *conn) consumed(n int) {
	c.releaseLong()
	if n > 0 && c.deadline == lineDeadline {
		c.deadline = idleDeadline // that line has ended; another one may have begun
	}
}

// pause lets the time pass that the user has to wait for its turn. Nothing is read of the peer
// meanwhile, so that it waits too.
func (c *conn) pause(ctx context.Context) {
	if c.warn || c.mayWarn() {
		c.warn = false
		c.server.log.Warn("requests of a user are slowed, there are too many", "uid", c.session.user.uid, "pid", c.session.peer.PID)
	}
	sleep(ctx, c.session.takeDelay())
}

// mayWarn reports whether the log is to say that the user is slowed.
func (c *conn) mayWarn() bool { return c.session.user.warnings.allow(c.server.clock(), warnLines) }

// read waits for bytes and takes what there is.
func (c *conn) read() error {
	if c.readErr != nil {
		return c.readErr
	}
	if c.borrowed {
		return errIdle
	}
	if !c.admitLong() {
		return errLong
	}
	c.setDeadline()
	if c.in.len() == 0 {
		c.server.users.idle(c)
	}
	n, err := c.nc.Read(c.in.room())
	if !c.server.users.busy(c) {
		return errOusted
	}
	c.in.add(n)
	if n > 0 {
		return nil // an error comes back with the next read
	}
	return err
}

// setDeadline bounds how long the next read may take: a line that has been begun has
// so long in all, however many reads bring it.
func (c *conn) setDeadline() {
	cfg, idle := &c.server.cfg, c.server.limits.Load().idle
	switch {
	case c.in.len() > 0:
		if c.deadline != lineDeadline {
			c.setReadDeadline(time.Now().Add(cfg.lineTimeout))
			c.deadline = lineDeadline
		}
	case idle > 0:
		c.setReadDeadline(time.Now().Add(idle))
		c.deadline = idleDeadline
	case c.deadline != noDeadline:
		c.setReadDeadline(time.Time{})
		c.deadline = noDeadline
	}
}

// admitLong asks for leave before the buffer has to grow.
func (c *conn) admitLong() bool {
	if !c.long && c.in.crowded() {
		u := c.session.user
		c.long = u.long.enter(u.bound(userLong))
		return c.long
	}
	return true
}

// releaseLong ends admitLong when the buffer is small again.
func (c *conn) releaseLong() {
	if c.long && c.in.small() {
		c.session.user.long.leave()
		c.long = false
	}
}

// flush writes the replies that have gathered, and gives back the room they took. A peer that
// reads is waited for, however slowly it does; one that has read nothing for
// writeTimeout is an error, and one that has read nothing for deafAfter is if there
// are many such of its user.
func (c *conn) flush() error {
	out := c.session.out
	defer c.giveBack()
	patience := c.server.cfg.writeTimeout
	span, deaf := min(deafAfter, patience), false
	for len(out) > 0 {
		if err := c.nc.SetWriteDeadline(time.Now().Add(span)); err != nil {
			return err
		}
		n, err := c.nc.Write(out)
		out = out[n:]
		switch {
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded), n == 0 && (deaf || span == patience):
			return err
		case !deaf:
			u := c.session.user
			if !u.deaf.enter(u.bound(userDeaf)) {
				return err
			}
			defer u.deaf.leave()
			deaf, span = true, patience
			if n == 0 {
				span -= deafAfter
			}
		default:
			span = patience
		}
	}
	return nil
}

// borrow makes room for replies if there is something to answer. A job may have made its
// own.
func (c *conn) borrow() {
	if c.session.out == nil && c.in.len() > 0 {
		c.out = c.server.outs.Get().(*[]byte)
		c.session.out = *c.out
	}
}

// giveBack ends borrow. The room that a job made for itself is left to the collector,
// and so is what one huge reply took.
func (c *conn) giveBack() {
	if c.out != nil && cap(c.session.out) <= 2*maxOut {
		*c.out = c.session.out[:0]
		c.server.outs.Put(c.out)
	}
	c.out, c.session.out = nil, nil
}

// run runs the session's job. While one waits, the peer is looked out for.
func (c *conn) run(ctx context.Context) error {
	job := c.session.takeJob()
	if !job.waits {
		return c.session.perform(ctx, job, c.flush)
	}
	if err := c.flush(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := c.lookOut(func() { cancel(errGone) }, job)
	defer stop()
	return c.session.perform(ctx, job, c.flush)
}

// lookAfter is how long a brief job has before the peer is looked out for: more than a disk that is
// in order takes, and less than anybody notices.
const lookAfter = 10 * time.Millisecond

// lookOut calls gone when the peer of j goes away; if it has nothing more to say, also when it says
// something. For a brief job it does so from lookAfter on. What the peer says meanwhile is kept, as
// far as there is room. The caller calls stop before it touches the connection's reading side
// again.
func (c *conn) lookOut(gone func(), j job) (stop func()) {
	var wg sync.WaitGroup
	c.setReadDeadline(time.Time{})
	look := func() {
		if c.readToEnd(j.last) {
			gone()
		}
	}
	notYet := func() bool { return false } // ends what has not begun
	if j.brief {
		wg.Add(1)
		notYet = time.AfterFunc(lookAfter, func() {
			defer wg.Done()
			look()
		}).Stop
	} else {
		wg.Go(look)
	}
	return func() {
		if !notYet() {
			c.setReadDeadline(longAgo)
			wg.Wait()
			c.setReadDeadline(time.Time{})
		}
		c.deadline = noDeadline
	}
}

// readToEnd reads until the peer is gone, and reports whether it is. It returns false
// when the read deadline passes, and where it cannot tell.
func (c *conn) readToEnd(last bool) bool {
	for c.readErr == nil {
		if last && c.in.len() > 0 {
			return true
		}
		room := c.in.spare()
		if len(room) == 0 && last {
			room = make([]byte, lastWords) // whatever it is, it ends the session
		}
		if len(room) == 0 {
			break // the rest stays with the kernel until the job is done
		}
		n, err := c.nc.Read(room)
		if last && n > 0 {
			return true
		}
		c.in.add(n)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
		c.readErr = err
	}
	switch nc := c.nc.(type) {
	case interface{ AwaitHangup() bool }:
		return nc.AwaitHangup()
	case syscall.Conn:
		return socket.AwaitHangup(nc)
	}
	return c.readErr != nil // such a connection cannot be half-closed
}

// linger reads on for a little while, and throws away what it reads.
func (c *conn) linger() {
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	c.setReadDeadline(time.Now().Add(lingerTime))
	var waste [4 << 10]byte
	for total := 0; total < lingerBytes; {
		n, err := c.nc.Read(waste[:])
		if err != nil {
			return
		}
		total += n
	}
}

// longAgo is a deadline that has passed: it ends a read that is under way and every
// read to come.
var longAgo = time.Unix(1, 0)

// wake ends the read that the connection is in, and every further one, for good. What
// has been read is still answered.
func (c *conn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.awake = true
	_ = c.nc.SetReadDeadline(longAgo)
}

// setReadDeadline fails on a closed connection only; the next read says so too.
func (c *conn) setReadDeadline(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.awake {
		_ = c.nc.SetReadDeadline(t)
	}
}

// ordinary reports whether err is how connections end that nobody has to hear of.
func ordinary(err error) bool {
	return err == nil || errors.Is(err, errOusted) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
