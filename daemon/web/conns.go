package web

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// conns is the bounded set of a listener's connections. When max is reached, a new connection
// replaces another.
//
// A connection that is closed, or has its last answer, is ending and does not count towards max. It
// still exists: linger and net/http keep a connection whose request was not read completely for a
// second and a half. A second bound therefore includes ending connections: twice max per source,
// four times max in total.
type conns struct {
	max int // set by newConns

	mu       sync.Mutex
	all      map[*conn]struct{}   // until net/http has released them
	from     map[netip.Prefix]int // number of connections in all, by source
	ending   int                  // number of connections in all that are ending
	stopping bool
	gone     chan struct{} // closed when stopping and all is empty
}

func newConns(limit int) *conns {
	return &conns{
		max:  limit,
		all:  make(map[*conn]struct{}),
		from: make(map[netip.Prefix]int),
		gone: make(chan struct{}),
	}
}

// conn is a connection as net/http sees it.
type conn struct {
	net.Conn

	conns  *conns
	source netip.Prefix // the address of the peer

	begun atomic.Bool // the first byte of the expected request has arrived

	// Owned by the connection's goroutine.
	looked  bool   // uid and unknown have been looked up and no longer change
	uid     uint32 // the user who owns the peer's socket
	unknown error  // why uid is not known

	// Guarded by conns.mu.
	since  time.Time // the latest of: accepted, became idle, request began
	active bool      // its header has been read and its answer is not written
	kept   bool      // its request has arrived completely
	ending bool      // it no longer counts towards max
}

// Read records when a request begins, and then treats a connection that was idle like a new one.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.begun.Load() {
		c.conns.mu.Lock()
		c.begun.Store(true)
		c.since = time.Now()
		c.conns.mu.Unlock()
	}
	return n, err
}

// CloseWrite ends an answer before the connection lingers and is closed. net/http and linger call
// it. If the connection were closed at once, a reset would destroy the answer.
func (c *conn) CloseWrite() error {
	c.conns.mu.Lock()
	c.endLocked()
	c.conns.mu.Unlock()
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// endLocked marks c as ending. conns.mu is held.
func (c *conn) endLocked() {
	if !c.ending {
		c.ending = true
		c.conns.ending++
	}
}

// add registers a connection. c is nil if the connection must be closed. crowded reports that a
// bound was reached.
func (cs *conns) add(nc net.Conn) (c *conn, crowded bool) {
	source := sourceOf(nc.RemoteAddr())
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.stopping {
		return nil, false
	}
	if len(cs.all) >= 4*cs.max || cs.from[source] >= 2*cs.max {
		return nil, true
	}
	if len(cs.all)-cs.ending >= cs.max {
		crowded = true
		if !cs.evictLocked() {
			return nil, true
		}
	}
	c = &conn{Conn: nc, conns: cs, source: source, since: time.Now()}
	cs.all[c] = struct{}{}
	cs.from[source]++
	return c, crowded
}

// evictLocked closes one connection of the source with the most connections. It picks the
// connection that has owed a complete request for the longest time. It reports whether there was
// one.
func (cs *conns) evictLocked() bool {
	held := make(map[netip.Prefix]int)
	for c := range cs.all {
		if c.movable() {
			held[c.source]++
		}
	}
	var slowest *conn
	for c := range cs.all {
		if !c.movable() {
			continue
		}
		if slowest == nil || held[c.source] > held[slowest.source] ||
			held[c.source] == held[slowest.source] && c.since.Before(slowest.since) {
			slowest = c
		}
	}
	if slowest == nil {
		return false
	}
	slowest.endLocked()
	_ = slowest.Close()
	return true
}

// movable reports whether c may be evicted. conns.mu is held.
func (c *conn) movable() bool { return !c.kept && !c.ending }

// changed is net/http's callback for changes of a connection's state.
func (cs *conns) changed(nc net.Conn, state http.ConnState) {
	c := nc.(*conn)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c.active = state == http.StateActive
	switch state {
	case http.StateIdle:
		c.kept = false
		c.since = time.Now()
		c.begun.Store(false)
		if cs.stopping {
			_ = c.Close()
		}
	case http.StateClosed:
		delete(cs.all, c)
		if c.ending {
			cs.ending--
		}
		if cs.from[c.source]--; cs.from[c.source] == 0 {
			delete(cs.from, c.source)
		}
		cs.signalLocked()
	}
}

// dismiss closes the connections without an active request and rejects new ones.
func (cs *conns) dismiss() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.stopping = true
	for c := range cs.all {
		if !c.active {
			_ = c.Close()
		}
	}
	cs.signalLocked()
}

// drain waits after dismiss for the connections to end. After grace it closes the remaining ones
// and waits for them too. It returns their number.
func (cs *conns) drain(grace time.Duration) int {
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-cs.gone:
		return 0
	case <-t.C:
	}
	n := cs.cut()
	<-cs.gone
	return n
}

func (cs *conns) cut() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for c := range cs.all {
		_ = c.Close()
	}
	return len(cs.all)
}

// signalLocked closes gone once, when no connection is left.
func (cs *conns) signalLocked() {
	if !cs.stopping || len(cs.all) > 0 {
		return
	}
	select {
	case <-cs.gone:
	default:
		close(cs.gone)
	}
}

// keep marks c's request as complete, so that c is not evicted until it is answered. A nil c, as in
// a test of a handler, is ignored.
func (c *conn) keep() {
	if c == nil {
		return
	}
	c.conns.mu.Lock()
	defer c.conns.mu.Unlock()
	c.kept = true
}

// unix reports whether c is a connection over a Unix socket. A nil c, as in a test of a handler, is
// not.
func (c *conn) unix() bool { return c != nil && c.LocalAddr().Network() == "unix" }

// from returns the source of c. For a nil c, as in a test of a handler, it returns the zero Prefix.
func (c *conn) from() netip.Prefix {
	if c == nil {
		return netip.Prefix{}
	}
	return c.source
}

// sourceOf returns what a stranger cannot have many of: an IPv4 address, or the 64-bit network of
// an IPv6 address. All other addresses are one source.
func sourceOf(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	p, _ := ip.Prefix(min(ip.BitLen(), 64)) // cannot fail for a TCP address
	return p
}

// connKey is the context key of a request's connection.
type connKey struct{}

func withConn(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, nc)
}

// connOf returns the connection of a request, or nil.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

// listener returns connections that conns has registered.
type listener struct {
	net.Listener

	conns   *conns
	crowded func() // called for each connection that reached a bound
}

// Accept does not wait when a bound is reached: it closes the connection and accepts the next.
func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c, crowded := l.conns.add(nc)
		if crowded {
			l.crowded()
		}
		if c != nil {
			return c, nil
		}
		_ = nc.Close()
	}
}
