package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tokend/daemon/access"
	"tokend/fetchers/secret"
)

// pipeListener is a listener whose connections are net.Pipes: time stands still
// in a bubble while all of their ends wait, which it does not on sockets.
type pipeListener struct {
	conns  chan net.Conn
	errs   chan error // what Accept fails with next: up to 32
	once   sync.Once
	closed chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), errs: make(chan error, 32), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case err := <-l.errs:
		return nil, &net.OpError{Op: "accept", Net: "pipe", Err: err}
	default:
	}
	select {
	case err := <-l.errs:
		return nil, &net.OpError{Op: "accept", Net: "pipe", Err: err}
	case nc := <-l.conns:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// dial returns the client's end of a new connection.
func (l *pipeListener) dial(t *testing.T) *client {
	t.Helper()
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
	case <-l.closed:
		t.Fatal("dial: the listener is closed")
	}
	return newClient(t, ours)
}

// client is a peer that a test plays.
type client struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func newClient(t *testing.T, nc net.Conn) *client {
	t.Cleanup(func() { nc.Close() })
	return &client{Conn: nc, t: t, r: bufio.NewReader(nc)}
}

// send writes text, in the background: a pipe has no buffer. What cannot be sent is
// not answered either, which the test will notice.
func (c *client) send(text string) {
	go func() { _, _ = io.WriteString(c.Conn, text) }()
}

// ask sends a line and returns the line that answers it.
func (c *client) ask(format string, args ...any) string {
	c.t.Helper()
	c.send(fmt.Sprintf(format, args...) + "\n")
	return c.line()
}

// line reads one line.
func (c *client) line() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("reading a reply: got %q and %v", line, err)
	}
	return strings.TrimSuffix(line, "\n")
}

// rest reads until the server closes the connection, and returns what it read.
func (c *client) rest() string {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	if err != nil {
		c.t.Logf("the connection ended with %v", err)
	}
	return string(rest)
}

func (c *client) want(got, want string) {
	c.t.Helper()
	if got != want {
		c.t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// running is a server that serves.
type running struct {
	*Server
	engine *fakeEngine
	ln     *pipeListener
	stop   context.CancelFunc
	done   chan error
}

// start serves cfg on pipes until the test ends. An Engine that is nil is the fake
// one, a Peer that is nil is root.
func start(t *testing.T, cfg Config) *running {
	t.Helper()
	engine := newFakeEngine()
	if cfg.Engine == nil {
		cfg.Engine = engine
	}
	if cfg.Sign == nil {
		cfg.Sign = fakeSign
	}
	if cfg.peer == nil {
		cfg.peer = func(net.Conn) (access.Peer, error) { return access.Peer{}, nil }
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Server: New(cfg), engine: engine, ln: newPipeListener(), stop: cancel, done: make(chan error, 1)}
	go func() { r.done <- r.Serve(ctx, r.ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-r.done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		r.done <- nil
	})
	return r
}

// as makes every peer one of uid.
func as(uid uint32) func(net.Conn) (access.Peer, error) {
	return func(net.Conn) (access.Peer, error) { return access.Peer{UID: uid}, nil }
}

// eachAnother makes every peer another user, none of them an operator.
func eachAnother() func(net.Conn) (access.Peer, error) {
	var n atomic.Uint32
	return func(net.Conn) (access.Peer, error) { return access.Peer{UID: guest + n.Add(1)}, nil }
}

func fakeSign(ticket secret.Text, nonce string, timestamp int64, url string) string {
	return fmt.Sprintf("signed-%d-%d-%d-%s", len(ticket), len(nonce), timestamp, strings.ReplaceAll(url, "/", "_"))
}
