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

// conns are the connections of a listener. It bounds them: when there are max, a new one
// takes the place of another.
//
// A connection that has been closed, or answered for the last time, does not count, but it is not
// gone: linger and net/http stay with one whose request was not read to its end for a second and a
// half. So there is a second bound, for what is there in any way: twice max from one source, four
// times max from all.
type conns struct {
	max int // set by newConns

	mu       sync.Mutex
	all      map[*conn]struct{}   // until net/http has let go of them
	from     map[netip.Prefix]int // how many of all each source has
	ending   int                  // how many of all do not count any more
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
	source netip.Prefix // who is at the other end, as far as its address says

	begun atomic.Bool // a byte of the request that is owed has come

	looked atomic.Bool // what follows has been looked up, and does not change any more
	uid    uint32      // whose connection it is
	known  bool        // uid is

	// Guarded by conns.mu.
	since  time.Time // when it was accepted, fell idle, or began its request: the last of these
	active bool      // its header has been read and its answer is not written
	kept   bool      // its request has arrived whole
	ending bool      // it does not count any more
}

// Read notes when a request begins. A connection that has been idle for long is then as
// good as new.
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

// CloseWrite is how net/http, and linger, end an answer before they linger and the connection is
// closed: closed at once, the answer would be lost in a reset.
func (c *conn) CloseWrite() error {
	c.conns.mu.Lock()
	c.endLocked()
	c.conns.mu.Unlock()
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// endLocked makes c one that does not count. conns.mu is held.
func (c *conn) endLocked() {
	if !c.ending {
		c.ending = true
		c.conns.ending++
	}
}

// add takes a connection in; c is nil if it may not stay. Crowded reports that
// there was too little room.
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

// evictLocked closes one connection: of the source that has the most, the one that has
// owed a whole request for the longest time. It reports whether there was one.
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

// movable reports whether c may be closed to make room. conns.mu is held.
func (c *conn) movable() bool { return !c.kept && !c.ending }

// changed is what net/http tells of a connection's state.
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

// dismiss closes the connections that no request is being answered on, and lets no other in.
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

// drain waits for the connections to end after dismiss. Those that are left after grace are cut,
// and waited for too; it returns how many they were.
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

// signalLocked closes gone, once, when nothing is left.
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

// keep says that the request of c has arrived whole: c is not closed to make room until it
// has been answered. A nil c is none, as in a test of a handler.
func (c *conn) keep() {
	if c == nil {
		return
	}
	c.conns.mu.Lock()
	defer c.conns.mu.Unlock()
	c.kept = true
}

// from returns the source of c. A nil c is none, as in a test of a handler.
func (c *conn) from() netip.Prefix {
	if c == nil {
		return netip.Prefix{}
	}
	return c.source
}

// sourceOf returns what one stranger cannot have many of: an IPv4 address, or the 64 bits
// of an IPv6 address that are a network's. Anything else is one source.
func sourceOf(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	p, _ := ip.Prefix(min(ip.BitLen(), 64)) // fails for no address of TCP
	return p
}

// connKey is where a request's context holds its connection.
type connKey struct{}

func withConn(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, nc)
}

// connOf returns the connection of a request, or nil.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

// listener hands out connections that conns has taken in.
type listener struct {
	net.Listener

	conns   *conns
	crowded func() // called for each connection that did not just fit
}

// Accept never waits for room: one that finds none is closed, and the next is taken.
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
