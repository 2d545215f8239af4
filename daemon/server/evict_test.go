package server

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestIdleMakesRoom checks that a new connection replaces that of the user with the most
// connections which has been idle for longest. Its client reads the end, and nothing else. A user
// with as many connections is refused.
func TestIdleMakesRoom(t *testing.T) { overBoth(t, tryIdleMakesRoom) }

func tryIdleMakesRoom(t *testing.T, d driver) {
	p := &turning{}
	var log syncBuffer
	path, s, _ := d.startSocket(t, Config{Limits: Limits{MaxConns: 8}, peer: p.of, Logger: testLogger(&log)})
	served := func(uid uint32) *client {
		t.Helper()
		p.next.Store(uid)
		c := dialSocket(t, path)
		c.want(c.ask("PING"), "OK PONG")
		u := s.users.get(uid)
		eventually(t, "it is idle", func() bool { return u.operator || idle(s, uid) > 0 && idle(s, uid) == u.open(s) })
		return c
	}
	refused := func(uid uint32) {
		t.Helper()
		p.next.Store(uid)
		c := dialSocket(t, path)
		c.want(c.ask("PING")+"\n", crowded)
	}
	ended := func(all ...*client) {
		t.Helper()
		for _, c := range all {
			c.want(c.rest(), "")
		}
	}
	root := served(0)
	var ofAlice, ofBob []*client
	for range 4 { // half of what is free
		ofAlice = append(ofAlice, served(alice))
	}
	refused(alice)
	for range 3 { // two of them while there is room, one in the place of alice's
		ofBob = append(ofBob, served(bob))
	}
	ended(ofAlice[0])
	refused(bob)
	refused(alice)
	for i := range uint32(4) { // two while there is room
		served(carol + i)
	}
	ended(ofAlice[1], ofBob[0])
	for _, c := range []*client{ofAlice[2], ofAlice[3], ofBob[1], ofBob[2], root} {
		c.want(c.ask("PING"), "OK PONG")
	}
	eventually(t, "8 and root's are open", func() bool { return s.open.Load() == 9 })
	if n := s.users.total().evicted.Load(); n != 3 {
		t.Errorf("%d closed connections are counted, want 3", n)
	}
	if n := strings.Count(log.String(), "too many connections: closing idle ones"); n != 1 {
		t.Errorf("%d lines in the log about it, want 1:\n%s", n, log.String())
	}
}

// TestIdleMakesRoomAmongEquals checks that a user without connections replaces another user's only
// one, and that a user with one does not.
func TestIdleMakesRoomAmongEquals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peers{}
		r := start(t, Config{Limits: Limits{MaxConns: 5}, peer: p.of})
		var all []*client
		for i := range uint32(8) {
			c := r.dialAs(t, p, alice+i)
			c.want(c.ask("PING"), "OK PONG")
			all = append(all, c)
			synctest.Wait()
		}
		for _, c := range all[:3] {
			c.want(c.rest(), "")
		}
		for _, c := range all[3:] {
			c.want(c.ask("PING"), "OK PONG")
		}
	})
}

// A connection with a request under way, a part of one, or a watch is none that is idle. Where
// there is no other, the newcomer is turned away.
func TestBusyKeepsItsPlace(t *testing.T) { overBoth(t, tryBusyKeepsItsPlace) }

func tryBusyKeepsItsPlace(t *testing.T, d driver) {
	for _, what := range []string{"GET " + cold + "\n", "WATCH " + cold + "\n", "PI", "PING\nPI"} {
		t.Run(fmt.Sprintf("%q", what), func(t *testing.T) {
			p := &turning{}
			path, s, engine := d.startSocket(t, Config{Limits: Limits{MaxConns: 4}, peer: p.of})
			all := []*client{p.busy(t, s, path, alice, what), p.busy(t, s, path, alice, what)}
			all[0].begun(t, what)
			all[1].begun(t, what)
			p.busy(t, s, path, bob, "PI")
			p.busy(t, s, path, carol, "PI")
			p.next.Store(carol + 1)
			last := dialSocket(t, path)
			last.want(last.ask("PING")+"\n", crowded)

			// One request ends, and its connection is closed.
			switch {
			case strings.HasPrefix(what, "GET"):
				engine.tell(cold, fetched{ttl: time.Hour, value: "v"})
				all[1].line()
			case strings.HasPrefix(what, "WATCH"):
				return
			default:
				all[1].want(all[1].ask("NG"), "OK PONG")
			}
			eventually(t, "one is idle", func() bool { return idle(s, alice) > 0 })
			next := dialSocket(t, path)
			next.want(next.ask("PING"), "OK PONG")
		})
	}
}

// begun reads what there is to be read before what is under way.
func (c *client) begun(t *testing.T, what string) {
	t.Helper()
	switch {
	case strings.HasPrefix(what, "WATCH"):
		c.want(c.line(), "OK 1")
		c.want(c.line(), cold+" idle -")
	case strings.HasPrefix(what, "PING"):
		c.want(c.line(), "OK PONG")
	}
}

// busy connects as uid and sends what, which begins a request. It returns when the server has read
// that. No other connection of uid is idle.
func (p *turning) busy(t *testing.T, s *Server, path string, uid uint32, what string) *client {
	t.Helper()
	p.next.Store(uid)
	before := s.open.Load()
	c := dialSocket(t, path)
	eventually(t, "it is idle", func() bool { return s.open.Load() == before+1 && idle(s, uid) == 1 })
	if _, err := io.WriteString(c.Conn, what); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is busy", func() bool { return idle(s, uid) == 0 })
	return c
}

// open returns how many connections u has.
func (u *user) open(s *Server) int {
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	return u.conns
}

// idle returns how many connections of uid can be closed for others.
func idle(s *Server, uid uint32) (n int) {
	u := s.users.get(uid)
	s.users.mu.Lock()
	defer s.users.mu.Unlock()
	for c := u.idle.first; c != nil; c = c.idle.next {
		n++
	}
	return n
}
