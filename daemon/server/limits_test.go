package server

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/access"
	"tokend/daemon/clock"
	"tokend/daemon/credential"
)

// peers is who connects next: the tests that have several users set it before they dial.
type peers struct{ next uint32 }

func (p *peers) of(net.Conn) (access.Peer, error) { return access.Peer{UID: p.next}, nil }

// dialAs connects as uid.
func (r *running) dialAs(t *testing.T, p *peers, uid uint32) *client {
	t.Helper()
	synctest.Wait() // the last one has been looked at
	p.next = uid
	c := r.ln.dial(t)
	synctest.Wait()
	return c
}

const (
	alice = 4_000_000_001
	bob   = 4_000_000_002
	carol = 4_000_000_003
)

const crowded = "ERR BUSY 1 too many connections\n"

// However many connections a user has that are not idle, there is one for everybody else, and any
// number for root.
func TestConnectionsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peers{}
		r := start(t, Config{Limits: Limits{MaxConns: 16}, peer: p.of})
		served := func(uid uint32) (n int) {
			for {
				c := r.dialAs(t, p, uid)
				c.send("PING\nPI")
				line, err := c.r.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				if line == crowded {
					c.want(c.rest(), "")
					return n
				}
				c.want(line, "OK PONG\n")
				n++
			}
		}
		// 16 free: half. 8 free: half of what alice has left, and so on. The last one is for a user
		// without connections.
		for i, want := range []int{8, 4, 2, 1, 1, 0} {
			if got := served(alice + uint32(i)); got != want {
				t.Errorf("user %d\n got %d connections\nwant %d", i, got, want)
			}
		}
		for range 50 {
			c := r.dialAs(t, p, 0)
			c.want(c.ask("PING"), "OK PONG")
		}
		if n := r.users.total().turnedAway.Load(); n != 6 {
			t.Errorf("%d turned away, want 6", n)
		}
	})
}

// TestRequestsAreSlowed checks that a user beyond its rate waits and gets no errors, and that other
// users and root do not wait.
func TestRequestsAreSlowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peers{}
		var log syncBuffer
		r := start(t, Config{Limits: Limits{UserRate: 100}, peer: p.of, Logger: testLogger(&log)})
		first, second := r.dialAs(t, p, alice), r.dialAs(t, p, alice)
		other, root := r.dialAs(t, p, bob), r.dialAs(t, p, 0)
		const n = 500
		done := make(chan time.Duration, 2)
		begin := time.Now()
		for _, c := range []*client{first, second} {
			c.send(strings.Repeat("PING\nGET "+token+"\n", n/2))
			go func() {
				for range n / 2 {
					c.want(c.line(), "OK PONG")
					if got := c.line(); !strings.HasSuffix(got, "tok-01") {
						t.Errorf("got %q", got)
					}
				}
				done <- time.Since(begin)
			}()
		}
		time.Sleep(3 * time.Second)
		if d := took(func() { other.want(other.ask("PING"), "OK PONG") }); d != 0 {
			t.Errorf("another user waits %s, want no time", d)
		}
		d := took(func() {
			root.send(strings.Repeat("PING\n", 10_000))
			for range 10_000 {
				root.want(root.line(), "OK PONG")
			}
		})
		if d != 0 {
			t.Errorf("root waits %s, want no time", d)
		}
		// 1000 requests, 100 of them at once, the others at 100 a second, in rations; and
		// neither connection far ahead of the other.
		d1, d2 := <-done, <-done
		if d2 < 8900*time.Millisecond || d2 > 9700*time.Millisecond || d1 < 7500*time.Millisecond {
			t.Errorf("a thousand requests in %s and %s, want about 9 s", d1, d2)
		}
		if n := strings.Count(log.String(), "are slowed"); n != 1 {
			t.Errorf("%d lines in the log about it, want 1:\n%s", n, log.String())
		}
		// Who rests is served at once again.
		time.Sleep(5 * time.Second)
		if d := took(func() { first.want(first.ask("PING"), "OK PONG") }); d != 0 {
			t.Errorf("after a rest: %s, want no time", d)
		}
	})
}

// Connecting for each request is no way around, and costs no more than one request each.
func TestRequestsAreCountedOverConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peers{}
		r := start(t, Config{Limits: Limits{UserRate: 1000}, peer: p.of})
		ask := func() {
			c := r.dialAs(t, p, alice)
			c.want(c.ask("PING"), "OK PONG")
			c.Close()
			synctest.Wait()
		}
		// Each draws a quantum, and gives back what it has not used.
		if d := took(func() {
			for range 1000 - maxQuantum {
				ask()
			}
		}); d != 0 {
			t.Errorf("the first %d requests take %s, want no time", 1000-maxQuantum, d)
		}
		if d := took(func() {
			for range 1000 {
				ask()
			}
		}); d < 900*time.Millisecond || d > 1200*time.Millisecond {
			t.Errorf("the next 1000 take %s, want about 1 s", d)
		}
	})
}

// Even in the middle of a pause a stop is not waited for, and what has been read is answered.
func TestStopEndsAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peers{next: alice}
		r := start(t, Config{Limits: Limits{UserRate: 1}, peer: p.of})
		c := r.ln.dial(t)
		c.send(strings.Repeat("PING\n", 200))
		var answered atomic.Int64
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				line, err := c.r.ReadString('\n')
				if err != nil {
					return
				}
				if line == "OK PONG\n" {
					answered.Add(1)
				}
			}
		}()
		time.Sleep(time.Second)
		if n := answered.Load(); n >= 200 || r.users.get(alice).stats.slowed.Load() == 0 {
			t.Fatalf("%d answers before the stop: nothing is paused", n)
		}
		d := took(func() {
			r.stop()
			<-ended
			if n := answered.Load(); n != 200 {
				t.Errorf("%d answers, want 200", n)
			}
			if err := <-r.done; err != nil {
				t.Error(err)
			}
			r.done <- nil
		})
		if d != 0 {
			t.Errorf("stopping takes %s, want no time", d)
		}
	})
}

func TestWaitingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peers{}
		r := start(t, Config{Limits: Limits{MaxUserWaits: 3}, peer: p.of})
		var waiting []*client
		for _, uid := range []uint32{alice, alice, alice, bob, 0, 0, 0, 0, 0} {
			c := r.dialAs(t, p, uid)
			c.send("GET " + cold + "\n")
			waiting = append(waiting, c)
		}
		synctest.Wait()
		const busy = "ERR BUSY 1 too many requests of this user are waiting"
		fourth := r.dialAs(t, p, alice)
		fourth.want(fourth.ask("GET %s", cold), busy)
		fourth.want(fourth.ask("REFRESH %s", cold), "ERR DENIED - REFRESH is not granted to this user")
		fourth.want(fourth.ask("REJECT %s v", cold), busy)
		fourth.want(fourth.ask("GET %s", token), "OK 7200 tok-01") // what is held waits for nothing

		waiting[0].Close() // makes room for one more
		synctest.Wait()
		fourth.send("GET " + cold + "\n")
		synctest.Wait()
		r.engine.tell(cold, fetched{ttl: time.Hour, value: "tok-02"})
		for _, c := range append(waiting[1:], fourth) {
			c.want(c.line(), "OK 3600 tok-02")
		}
		synctest.Wait()
		if n := r.users.get(alice).waits.n.Load(); n != 0 {
			t.Errorf("%d requests are counted when none waits", n)
		}
	})
}

// TestWaitingForOneOwner checks that a user's requests for other accounts can wait, however many of
// its requests wait for one account.
func TestWaitingForOneOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most, reserve = 20, 2
		p := &peers{}
		r := start(t, Config{Limits: Limits{MaxUserWaits: most}, peer: p.of})
		var waiting []*client
		asks := func(name string) *client {
			c := r.dialAs(t, p, alice)
			c.send("GET " + name + "\n")
			synctest.Wait()
			waiting = append(waiting, c)
			return c
		}
		const busy = "ERR BUSY 1 too many requests of this user are waiting"
		for range most - reserve {
			asks(cold)
		}
		c := asks(cold)
		c.want(c.line(), busy)
		for range reserve {
			asks(authorizer)
		}
		c = asks(authorizer)
		c.want(c.line(), busy)
		if n := r.users.get(alice).waits.n.Load(); n != most {
			t.Errorf("%d requests wait, want %d", n, most)
		}
		for _, c := range waiting {
			c.Close()
		}
		synctest.Wait()
		if w := &r.users.get(alice).waits; w.n.Load() != 0 || len(w.of) != 0 {
			t.Errorf("%d requests of %d owners are counted when none waits", w.n.Load(), len(w.of))
		}
	})
}

// A request that fails by a fault gives back its place.
func TestWaitingReleasedAfterPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peers{next: alice}
		r := start(t, Config{Engine: panicEngine{}, peer: p.of})
		for range 5 {
			c := r.ln.dial(t)
			c.send("GET " + cold + "\n")
			c.want(c.rest(), "")
		}
		synctest.Wait()
		u := r.users.get(alice)
		if n := u.waits.n.Load(); n != 0 || u.conns != 0 || r.open.Load() != 0 {
			t.Errorf("%d requests and %d connections are counted when there are none", n, u.conns)
		}
	})
}

// panicEngine has no values, and panics in any other call.
type panicEngine struct{ Engine }

func (panicEngine) Now() clock.Instant { return 1 }

func (panicEngine) Cached([]byte, clock.Instant) (credential.Value, bool) {
	return credential.Value{}, false
}

func (e panicEngine) CachedAll(names [][]byte, now clock.Instant, values []credential.Value) {
	cachedEach(e, names, now, values)
}

func TestWatchesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peers{}
		r := start(t, Config{peer: p.of})
		var watching []*client
		for range userWatches {
			c := r.dialAs(t, p, alice)
			c.want(c.ask("WATCH %s", token), "OK 1")
			c.line()
			watching = append(watching, c)
		}
		more, other := r.dialAs(t, p, alice), r.dialAs(t, p, bob)
		more.want(more.ask("WATCH %s", token), "ERR BUSY 1 too many watches of this user")
		more.want(more.ask("GET %s", token), "OK 7199 tok-01")
		other.want(other.ask("WATCH %s", token), "OK 1")
		watching[7].Close()
		synctest.Wait()
		more.want(more.ask("WATCH %s", token), "OK 1")
	})
}

// Lists of all there is are made one after the other, if there are many: they wait, and other
// users' do not wait for them.
func TestListsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peers{}
		r := start(t, Config{peer: p.of, Engine: hugeEngine{n: 10_000}, writeTimeout: time.Hour, waitTimeout: 30 * time.Second})
		var slow []*client
		for range userLists { // connections that do not read
			c := r.dialAs(t, p, alice)
			c.send("LIST\n")
			slow = append(slow, c)
		}
		synctest.Wait()
		fifth, sixth := r.dialAs(t, p, alice), r.dialAs(t, p, alice)
		fifth.send("PING\nLIST\nPING\n")
		fifth.want(fifth.line(), "OK PONG") // not kept back by what is behind it
		synctest.Wait()
		sixth.send("LIST\n")
		other := r.dialAs(t, p, bob)
		other.want(other.ask("LIST"), "OK 10000")
		time.Sleep(10 * time.Second)
		if got := len(slow[0].lines(10_001)); got != 10_001 {
			t.Errorf("%d lines of the list, want 10001", got)
		}
		all := fifth.lines(10_002)
		fifth.want(all[0], "OK 10000")
		fifth.want(all[10_001], "OK PONG")
		// The fifth has given its place to the sixth, which does not read either.
		seventh := r.dialAs(t, p, alice)
		d := took(func() {
			seventh.want(seventh.ask("LIST"), "ERR BUSY 1 too many lists of this user are being written")
		})
		if d != 30*time.Second {
			t.Errorf("told so after %s, want 30s", d)
		}
	})
}

// lines reads n lines.
func (c *client) lines(n int) []string {
	c.t.Helper()
	all := make([]string, n)
	for i := range all {
		all[i] = c.line()
	}
	return all
}

// Of the many connections that stop reading, a few are waited for, and the others cut at
// once: what is held for them stays small.
func TestDeafConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peers{}
		r := start(t, Config{peer: p.of, writeTimeout: 10 * time.Second})
		var deaf []*client
		for range userDeaf + 50 {
			c := r.dialAs(t, p, alice)
			c.send("PING\n")
			deaf = append(deaf, c)
		}
		other := r.dialAs(t, p, bob)
		other.send("PING\n")
		root := r.dialAs(t, p, 0)
		root.send("PING\n")
		time.Sleep(time.Second)
		if n := r.open.Load(); n != userDeaf+2 {
			t.Errorf("%d connections open, want %d", n, userDeaf+2)
		}
		other.want(other.line(), "OK PONG")
		root.want(root.line(), "OK PONG")
		answered := 0
		for _, c := range deaf {
			if _, err := c.r.ReadString('\n'); err == nil {
				answered++
			}
			c.Close()
		}
		synctest.Wait()
		if answered != userDeaf {
			t.Errorf("%d were waited for, want %d", answered, userDeaf)
		}
		if n := r.users.get(alice).deaf.n.Load(); n != 0 {
			t.Errorf("%d are counted when none is left", n)
		}
	})
}

func TestLongLinesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peers{}
		r := start(t, Config{peer: p.of})
		long := "PING" + strings.Repeat("x", 2*smallBuffer)
		var half []*client
		for range userLong {
			c := r.dialAs(t, p, alice)
			if _, err := io.WriteString(c.Conn, long); err != nil {
				t.Fatal(err)
			}
			half = append(half, c)
		}
		const bad = "ERR BAD_REQUEST - unknown verb"
		busy := "ERR BUSY 1 too many long lines of this user are under way; closing the connection\n"
		more := r.dialAs(t, p, alice)
		more.send(long + "\n")
		more.want(more.rest(), busy)
		other, root := r.dialAs(t, p, bob), r.dialAs(t, p, 0)
		for _, c := range []*client{other, root} {
			if got := c.ask("%s", long); !strings.HasPrefix(got, "ERR BAD_REQUEST") {
				t.Errorf("another user's long line is answered %q, want %s", got, bad)
			}
		}
		// One ends, another may begin; one connection goes away, two may.
		half[0].ask("")
		half[1].Close()
		synctest.Wait()
		for range 2 {
			c := r.dialAs(t, p, alice)
			if _, err := io.WriteString(c.Conn, long); err != nil {
				t.Fatal(err)
			}
			if got := c.ask(""); !strings.HasPrefix(got, "ERR BAD_REQUEST") {
				t.Errorf("a long line when there is room again is answered %q", got)
			}
		}
		for _, c := range half {
			c.Close()
		}
		synctest.Wait()
		if n := r.users.get(alice).long.n.Load(); n != 0 {
			t.Errorf("%d are counted when none is left", n)
		}
	})
}
