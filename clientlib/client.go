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
	// DefaultSocket is where tokend listens unless it is told otherwise.
	DefaultSocket = "/run/tokend/tokend.sock"

	// DefaultTimeout is a little more than the daemon lets a request wait for
	// a fetch (30 s), so that its answer, which says why, comes first.
	DefaultTimeout = 35 * time.Second

	// DefaultMaxIdleConns suits a busy process: a request is over in
	// microseconds, so few are ever under way at one instant.
	DefaultMaxIdleConns = 8
)

// Client asks one tokend. The zero value is ready for use. Set the fields before the
// first request and leave them alone after it. It is safe for concurrent use,
// and must not be copied.
type Client struct {
	// Socket is the path of the daemon's socket; empty is $TOKEND_SOCKET, and
	// [DefaultSocket] where that is not set either.
	Socket string

	// Timeout limits a request whose context has no deadline; zero or less
	// is [DefaultTimeout].
	Timeout time.Duration

	// MaxIdleConns is how many connections are kept for later requests; zero is
	// [DefaultMaxIdleConns], less is none: each request then has a connection
	// of its own. Requests under way are not limited.
	MaxIdleConns int

	// DialContext connects to the daemon in place of a Unix socket at Socket;
	// nil is that socket. Package net's errors are looked through for
	// [ErrNoDaemon] either way.
	DialContext func(context.Context) (net.Conn, error)

	mu     sync.Mutex
	idle   []*conn // the last is the one used last
	closed bool
}

// Close closes the connections that are idle, and lets no further request
// begin: they fail with [ErrClosed]. Requests under way end as they would have,
// and watchers are their owners' to close. It always returns nil.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.dropIdle()
	return nil
}

// ask sends one request and lets read take its reply off the connection. args[0],
// where there is one, is named in errors.
func (c *Client) ask(ctx context.Context, verb protocol.Verb, read func(*conn) error, args ...string) error {
	var subject string
	if len(args) > 0 {
		subject = args[0]
	}
	line, err := protocol.AppendRequest(nil, verb, args...)
	if err != nil {
		return err // not explained: a malformed name may be anything, a value too
	}
	if err := ctx.Err(); err != nil {
		return explain(ctx, verb, subject, err) // and no connection suffers for it
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	if cn := c.take(verb); cn != nil {
		again, err := c.exchange(ctx, cn, line, read)
		if !again {
			return explain(ctx, verb, subject, err)
		}
		c.dropIdle() // what has ended this connection has ended those before it
	}
	cn, err := c.dial(ctx)
	if err == nil {
		_, err = c.exchange(ctx, cn, line, read)
	}
	return explain(ctx, verb, subject, err)
}

// exchange makes one request on cn, and returns cn to the pool or closes it: cn is not the
// caller's any more. again is whether the request may be sent once more if cn was
// from the pool.
func (c *Client) exchange(ctx context.Context, cn *conn, line []byte, read func(*conn) error) (again bool, err error) {
	unguard := cn.guard(ctx)
	err = cn.request(line, read)
	if answered(err) && cn.r.Buffered() > 0 {
		// Then whose reply was read is anybody's guess.
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

// take returns an idle connection that verb may be sent on, or nil.
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

// put keeps cn for later, or closes it where there are enough.
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

// dropIdle closes what is idle now.
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
