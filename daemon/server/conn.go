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
)

// How much is read from a peer that has been refused. If its bytes stayed unread, close would reset
// the connection, and the peer could not read why it was refused.
const (
	lingerBytes = 1 << 20
	lingerTime  = time.Second
)

// conn drives one session over one connection, on one goroutine: it reads, steps, writes, and runs
// jobs. A connection of an event loop is driven by its conn while it is lent.
type conn struct {
	server  *Server
	nc      net.Conn
	session *session
	in      buffer

	// out is the buffer of the session's replies. It is taken from the server's pool while there is
	// a request to answer. Idle connections have none.
	out *[]byte

	// readErr is a read error that lookOut met while a job waited.
	readErr error

	// deadline is the purpose of the current read deadline.
	deadline deadline

	idle idleState

	long bool // the user's gauge of long requests counts this connection

	borrowed bool // from an event loop, which does the next read
	warn     bool // pause is to log that the user is slowed

	served bool // the first request has been consumed; set by the owner, under mu

	mu    sync.Mutex // guards the read deadline between serve and wake
	awake bool       // the server stops
}

// errIdle says that a borrowed connection can be returned.
var errIdle = errors.New("only a read is left")

// deadline is the purpose of a connection's read deadline.
type deadline uint8

const (
	noDeadline deadline = iota
	idleDeadline
	lineDeadline
)

func newConn(s *Server, nc net.Conn, peer access.Peer, u *user) *conn {
	return &conn{server: s, nc: nc, session: newSession(s, peer, u)}
}

// close closes the connection and returns what it holds of its user's shares.
func (c *conn) close() {
	if c.long {
		c.session.user.long.leave()
	}
	c.session.close()
	_ = c.nc.Close()
}

// serve answers requests until the peer sends no more, an error occurs, or ctx ends. It begins with
// next. Its error is the reason, see ordinary. It is errIdle if a borrowed connection has nothing
// left to do but to read.
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

// act does what the session has requested.
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

// consumed records that n bytes have been consumed.
func (c *conn) consumed(n int) {
	c.releaseLong()
	if n > 0 && !c.served {
		c.began()
	}
	if n > 0 && c.deadline == lineDeadline {
		c.deadline = idleDeadline // that request has ended; another one may have begun
	}
}

// pause waits until the user's allowance has refilled. Nothing is read from the peer during that
// time, so the peer waits too.
func (c *conn) pause(ctx context.Context) {
	if c.warn || c.mayWarn() {
		c.warn = false
		c.server.log.Warn("requests of a user are slowed, there are too many", "uid", c.session.user.uid, "pid", c.session.peer.PID)
	}
	sleep(ctx, c.session.takeDelay())
}

// mayWarn reports whether to log that the user is slowed.
func (c *conn) mayWarn() bool { return c.session.user.warnings.allow(c.server.clock(), warnLines) }

// read waits for bytes and reads what has arrived.
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
	n, err := c.nc.Read(c.in.free())
	if !c.server.users.busy(c) {
		return errEvicted
	}
	c.in.add(n)
	if n > 0 {
		return nil // the next read returns the error again
	}
	return err
}

// setDeadline sets the deadline of the next read. All reads of one request share one deadline.
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

// admitLong reports whether the buffer may grow, if it has to.
func (c *conn) admitLong() bool {
	if !c.long && c.in.crowded() {
		u := c.session.user
		c.long = u.long.enter(u.bound(userLong))
		return c.long
	}
	return true
}

// releaseLong ends admitLong once the buffer is small again.
func (c *conn) releaseLong() {
	if c.long && c.in.small() {
		c.session.user.long.leave()
		c.long = false
	}
}

// flush writes the replies, and returns their buffer to the pool. A peer may read as slowly as it
// likes. It is an error if the peer has read nothing for writeTimeout, or for deafAfter if its user
// has many such connections.
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

// borrow takes a buffer for replies from the pool if there is something to answer. A job may have
// made its own.
func (c *conn) borrow() {
	if c.session.out == nil && c.in.len() > 0 {
		c.out = c.server.outs.Get().(*[]byte)
		c.session.out = *c.out
	}
}

// giveBack ends borrow. A buffer that a job has made, or that a huge reply has grown, is left to
// the garbage collector.
func (c *conn) giveBack() {
	if c.out != nil && cap(c.session.out) <= 2*maxOut {
		*c.out = c.session.out[:0]
		c.server.outs.Put(c.out)
	}
	c.out, c.session.out = nil, nil
}

// run runs the session's job. While it waits, the conn watches for a peer that closes.
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
	stop := c.lookOut(cancel, job)
	defer stop()
	return c.session.perform(ctx, job, c.flush)
}

// linger reads for a short time, and discards what it reads.
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

// longAgo is a deadline that has passed: it ends the current read and every further one.
var longAgo = time.Unix(1, 0)

// wake ends the current read and every further one, for good: at once, or after silentGrace while
// the first request has not arrived. Requests that have been read are still answered.
func (c *conn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.awake = true
	if c.served {
		_ = c.nc.SetReadDeadline(longAgo)
	} else {
		_ = c.nc.SetReadDeadline(time.Now().Add(c.server.cfg.silentGrace))
	}
}

// began records that the first request has been consumed.
func (c *conn) began() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.served = true
	if c.awake {
		_ = c.nc.SetReadDeadline(longAgo)
	}
}

// setReadDeadline can fail on a closed connection only. The next read reports that.
func (c *conn) setReadDeadline(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.awake {
		_ = c.nc.SetReadDeadline(t)
	}
}

// ordinary reports whether err is an end of a connection that needs no attention.
func ordinary(err error) bool {
	return err == nil || errors.Is(err, errEvicted) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
