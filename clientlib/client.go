package clientlib

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"tokend/protocol"
)

// Defaults of [Client].
const (
	// DefaultSocket is the default path of tokend's socket.
	DefaultSocket = "/run/tokend/tokend.sock"

	// DefaultTimeout is slightly more than the daemon's limit for waiting on a fetch (30 s), so
	// that the daemon's error, which gives the reason, arrives first.
	DefaultTimeout = 35 * time.Second

	// DefaultMaxIdleConns is enough for a busy process: a request takes microseconds, so few are in
	// flight at once.
	DefaultMaxIdleConns = 8
)

// Client sends requests to one tokend. The zero value is ready for use. Set the fields before the
// first request and do not change them afterwards. A Client is safe for concurrent use and must not
// be copied.
type Client struct {
	// Socket is the path of the daemon's socket. If empty, it is $TOKEND_SOCKET, or else
	// [DefaultSocket].
	Socket string

	// Timeout limits a request whose context has no deadline. Zero or less means [DefaultTimeout].
	Timeout time.Duration

	// MaxIdleConns limits the idle connections in the pool. Zero means [DefaultMaxIdleConns]. A
	// negative number disables the pool: each request opens a connection. Requests in flight are
	// not limited.
	MaxIdleConns int

	// DialContext connects to the daemon. If nil, the Client dials the Unix socket at Socket. In
	// both cases errors of package net become [ErrNoDaemon] where they mean that nothing listens.
	DialContext func(context.Context) (net.Conn, error)

	mu     sync.Mutex
	idle   []*conn // most recently used last
	closed bool
}

// Close closes the idle connections. Later requests fail with [ErrClosed]. Requests in flight
// complete, and watchers stay open until their owners close them. Close always returns nil.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.dropIdle()
	return nil
}

// ask sends one request and calls read for its reply. Errors contain args[0], if there is one.
func (c *Client) ask(ctx context.Context, verb protocol.Verb, read func(*conn) error, args ...string) error {
	var subject string
	if len(args) > 0 {
		subject = args[0]
	}
	line, err := protocol.AppendRequest(nil, verb, args...)
	if err != nil {
		return err // without args[0]: a malformed name may be a secret value
	}
	if err := ctx.Err(); err != nil {
		return explain(ctx, verb, subject, err) // keeps the connection usable
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	cn := c.take(verb)
	if cn == nil {
		if cn, err = c.dial(ctx); err != nil {
			return explain(ctx, verb, subject, err)
		}
	}
	again, err := c.exchange(ctx, cn, line, read)
	if again && pooled(verb) {
		c.dropIdle() // all idle connections are likely closed too
		if cn, err = c.dial(ctx); err == nil {
			_, err = c.exchange(ctx, cn, line, read)
		}
	}
	return explain(ctx, verb, subject, err)
}

// exchange makes one request on cn, then returns cn to the pool or closes it. again reports whether
// a request that may be sent twice may be sent again.
func (c *Client) exchange(ctx context.Context, cn *conn, line []byte, read func(*conn) error) (again bool, err error) {
	unguard := cn.guard(ctx)
	err = cn.request(line, read)
	if answered(err) && cn.r.Buffered() > 0 {
		// The reply cannot be assigned to a request.
		err = fmt.Errorf("%w: more than one reply", ErrMalformed)
	}
	again = repeatable(err, cn.replyBegun)
	if unguard() && resumable(err) && !cn.broken {
		c.put(cn)
	} else {
		cn.Close()
	}
	return again, err
}

// limit gives ctx a deadline if it has none.
func (c *Client) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	return context.WithTimeout(ctx, timeout)
}

// take returns an idle connection for verb, or nil.
func (c *Client) take(verb protocol.Verb) *conn {
	if !pooled(verb) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.idle)
	if n == 0 {
		return nil
	}
	cn := c.idle[n-1]
	c.idle[n-1] = nil
	c.idle = c.idle[:n-1]
	return cn
}

// put returns cn to the pool, or closes cn if the pool is full.
func (c *Client) put(cn *conn) {
	most := cmp.Or(c.MaxIdleConns, DefaultMaxIdleConns)
	c.mu.Lock()
	keep := !c.closed && len(c.idle) < most
	if keep {
		c.idle = append(c.idle, cn)
	}
	c.mu.Unlock()
	if !keep {
		cn.Close()
	}
}

// dropIdle closes all idle connections.
func (c *Client) dropIdle() {
	c.mu.Lock()
	idle := c.idle
	c.idle = nil
	c.mu.Unlock()
	for _, cn := range idle {
		cn.Close()
	}
}

// socket returns the path to dial.
func (c *Client) socket() string {
	return cmp.Or(c.Socket, os.Getenv("TOKEND_SOCKET"), DefaultSocket)
}
