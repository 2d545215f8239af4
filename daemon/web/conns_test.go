package web

import (
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// farConn is a connection with a given remote address.
type farConn struct {
	net.Conn
	from   string
	closed bool
}

func (c *farConn) Close() error         { c.closed = true; return nil }
func (c *farConn) RemoteAddr() net.Addr { a, _ := net.ResolveTCPAddr("tcp", c.from); return a }

// join adds a connection from an address, one millisecond after the previous one.
func join(cs *conns, from string) (nc *farConn, admitted bool) {
	time.Sleep(time.Millisecond)
	nc = &farConn{from: from}
	c, _ := cs.add(nc)
	return nc, c != nil
}

func TestSources(t *testing.T) {
	for _, test := range []struct{ addr, want string }{
		{"192.0.2.1:80", "192.0.2.1/32"},
		{"[::ffff:192.0.2.1]:80", "192.0.2.1/32"},
		{"[2001:db8:1:2:3::4]:80", "2001:db8:1:2::/64"},
		{"[fe80::1%1]:80", "fe80::/64"},
	} {
		a, err := net.ResolveTCPAddr("tcp", test.addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := sourceOf(a).String(); got != test.want {
			t.Errorf("%s is of %s, want %s", test.addr, got, test.want)
		}
	}
	if got := sourceOf(&net.UnixAddr{Name: "x", Net: "unix"}); got.IsValid() {
		t.Errorf("a Unix socket is of %s", got)
	}
}

func TestFloodEvictsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := newConns(4)
		genuine, _ := join(cs, "192.0.2.1:1000") // the oldest
		var flood []*farConn
		for range 7 { // within the bound on ending connections
			nc, admitted := join(cs, "192.0.2.2:1000")
			if !admitted {
				t.Fatal("rejected, although a connection could be replaced")
			}
			flood = append(flood, nc)
		}
		if genuine.closed {
			t.Error("the flood evicted a connection from another address")
		}
		for i, nc := range flood {
			if want := i < len(flood)-3; nc.closed != want {
				t.Errorf("connection %d of the flood: closed %v, want %v", i, nc.closed, want)
			}
		}
	})
}

// net/http can take half a second to release a connection that was closed to free a slot.
func TestEndingConnectionsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := newConns(2)
		for _, from := range []string{"192.0.2.1:1", "192.0.2.2:1"} {
			for range 4 {
				if _, admitted := join(cs, from); !admitted {
					t.Fatalf("%s rejected too early", from)
				}
			}
			if _, admitted := join(cs, from); admitted {
				t.Errorf("%s admitted despite too many ending connections", from)
			}
		}
		if _, admitted := join(cs, "192.0.2.3:1"); admitted {
			t.Error("admitted despite too many ending connections of two sources")
		}
		for c := range cs.all {
			if c.ending {
				cs.changed(c, http.StateClosed)
			}
		}
		if len(cs.all) != 2 || cs.ending != 0 || len(cs.from) != 1 {
			t.Errorf("%d connections of %d sources are left, %d of them ending", len(cs.all), len(cs.from), cs.ending)
		}
		if _, admitted := join(cs, "192.0.2.1:1"); !admitted {
			t.Error("rejected, although they have ended")
		}
	})
}

// A connection that lingers after its last answer does not count towards max.
func TestLingeringNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := newConns(1)
		nc := &farConn{from: "192.0.2.1:1"}
		c, _ := cs.add(nc)
		_ = c.CloseWrite()
		if _, crowded := cs.add(&farConn{from: "192.0.2.1:1"}); crowded || nc.closed {
			t.Error("it was counted, or cut")
		}
	})
}
