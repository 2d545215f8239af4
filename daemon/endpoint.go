package daemon

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"tokend/daemon/server/socket"
	"tokend/daemon/web"
)

// endpoint is an HTTP listener that a reload can open, move and close. A reload calls prepare,
// which binds the new address, and then apply or undo of the [move]. So a reload can still be
// refused after it has bound. The zero value is an endpoint without a listener. Only one goroutine
// calls prepare and the methods of moves.
type endpoint struct {
	mu      sync.Mutex
	current *listening       // nil: no listener
	serve   func(*listening) // starts serving; nil unless run is running
	ended   bool             // run has returned or returns soon
}

// pagesMode lets every user connect to the Unix socket of the pages. The peer's rights decide what
// the user sees.
const pagesMode = 0o666

// listen binds an address: host:port, or "unix:" and a path.
func listen(addr string) (net.Listener, error) {
	if path, unix := strings.CutPrefix(addr, "unix:"); unix {
		return socket.Listen(path, pagesMode)
	}
	return web.Listen(addr)
}

// listening is one listener of an endpoint. It has a server of its own, because a [web.Server]
// serves once.
type listening struct {
	addr   string // as configured
	ln     net.Listener
	server func() *web.Server // makes the server
	web    *web.Server        // nil until it serves
	stop   func()             // stops the server, or closes the listener if none serves
}

func newListening(addr string, server func() *web.Server) (*listening, error) {
	ln, err := listen(addr)
	if err != nil {
		return nil, err
	}
	return &listening{addr: addr, ln: ln, server: server, stop: func() { _ = ln.Close() }}, nil
}

// run serves until ctx ends. It returns an error only if a listener fails for good.
func (e *endpoint) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		<-ctx.Done()
		e.mu.Lock()
		defer e.mu.Unlock()
		e.ended = true
		return nil
	})
	e.mu.Lock()
	e.serve = func(l *listening) {
		ctx, cancel := context.WithCancel(ctx)
		l.web, l.stop = l.server(), cancel
		server := l.web
		g.Go(func() error {
			defer cancel()
			return server.Serve(ctx, l.ln)
		})
	}
	if e.current != nil {
		e.serve(e.current)
	}
	e.mu.Unlock()
	return g.Wait()
}

// replace makes next the current listener, nil for none. The old one finishes its requests.
func (e *endpoint) replace(next *listening) {
	e.mu.Lock()
	defer e.mu.Unlock()
	old := e.current
	e.current = next
	switch {
	case next == nil:
	case e.ended:
		next.stop()
	case e.serve != nil:
		e.serve(next)
	}
	if old != nil {
		old.stop()
	}
}

// update calls f with the current server, if there is one.
func (e *endpoint) update(f func(*web.Server)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current != nil && e.current.web != nil {
		f(e.current.web)
	}
}

// addr returns the address of the current listener.
func (e *endpoint) addr() net.Addr {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current.ln.Addr()
}

// close closes an endpoint that has never run.
func (e *endpoint) close() { e.replace(nil) }

// move is a change of an endpoint's address that has been prepared.
type move struct {
	endpoint *endpoint
	old, new *listening // nil: no listener; the same if nothing changes
	vacated  bool       // the old listener has been closed
}

// prepare binds addr, "" for no listener. server makes the server for it.
func (e *endpoint) prepare(addr string, server func() *web.Server) (move, error) {
	m := move{endpoint: e, old: e.current}
	switch {
	case m.old != nil && m.old.addr == addr:
		m.new = m.old
		return m, nil
	case addr == "":
		return m, nil
	case m.old != nil && samePort(m.old.addr, addr):
		// The kernel allows no second listener at a port if one of the two is for all addresses.
		m.vacated = true
		_ = m.old.ln.Close()
	}
	var err error
	if m.new, err = newListening(addr, server); err != nil {
		return m, errors.Join(err, m.undo())
	}
	return m, nil
}

// samePort reports whether two addresses have the same port.
func samePort(a, b string) bool {
	_, p, errA := net.SplitHostPort(a)
	_, q, errB := net.SplitHostPort(b)
	return errA == nil && errB == nil && p == q
}

// apply makes the endpoint serve at the new address, and reports whether it is another one.
func (m move) apply() bool {
	if m.new == m.old {
		return false
	}
	m.endpoint.replace(m.new)
	return true
}

// address returns the new address for the log.
func (m move) address() string {
	if m.new == nil {
		return "none"
	}
	return m.new.addr
}

// undo makes the endpoint continue at the old address. Its error is that the address is in use.
func (m move) undo() error {
	if m.new != nil && m.new != m.old {
		m.new.stop()
	}
	if !m.vacated {
		return nil
	}
	again, err := newListening(m.old.addr, m.old.server)
	m.endpoint.replace(again) // nil after an error
	return err
}
