package server

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/refresh"
)

// peers is who connects next: the tests that have several users set it before they dial.
type peers struct{ next uint32 }

func (p *peers) of(net.Conn) (Peer, error) { return Peer{UID: p.next}, nil }

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

// However many connections a user has, there is one for everybody else, and any number for
// root.
func TestConnectionsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peers{}
		r := start(t, Config{MaxConns: 16, Peer: p.of})
		served := func(uid uint32) (n int) {
			for {
				c := r.dialAs(t, p, uid)
				c.send("PING\n")
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
		// 16 free: half. 8 free: half of what alice has left, and so on; the last place is left to
		// whoever has none.
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

// Root's connections take no place, the daemon's own user's neither, and each that ends gives
// its own back, to the last.
func TestConnectionsAreGivenBack(t *testing.T) {
	us := &users{self: 990}
	r := rand.New(rand.NewPCG(1, 2))
	var open []*user
	for range 20_000 {
		if len(open) > 0 && r.IntN(2) == 0 {
			i := r.IntN(len(open))
			us.leave(open[i])
			open[i] = open[len(open)-1]
			open = open[:len(open)-1]
			continue
		}
		uid := []uint32{0, 990, 1, 2, 3, 4}[r.IntN(6)]
		u, ok := us.enter(uid, 10)
		if ok {
			open = append(open, u)
		} else if u.operator {
			t.Fatalf("uid %d is turned away", uid)
		}
		if us.open > 10 {
			t.Fatalf("%d connections are counted, want at most 10", us.open)
		}
	}
	for _, u := range open {
		us.leave(u)
	}
	if us.open != 0 {
		t.Errorf("%d connections are counted when all are closed", us.open)
	}
	for uid, u := range us.all {
		if u.conns != 0 {
			t.Errorf("uid %d: %d connections are counted when all are closed", uid, u.conns)
		}
	}
}

// A user who asks too much waits, and is refused nothing; nobody else waits, root least of all.
func TestRequestsAreSlowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peers{}
		var log syncBuffer
		r := start(t, Config{UserRate: 100, Peer: p.of, Logger: testLogger(&log)})
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
		r := start(t, Config{UserRate: 1000, Peer: p.of})
		ask := func() {
			c := r.dialAs(t, p, alice)
			c.want(c.ask("PING"), "OK PONG")
			c.Close()
			synctest.Wait()
		}
		// Each draws a ration, and gives back what it has not used.
		if d := took(func() {
			for range 1000 - ration {
				ask()
			}
		}); d != 0 {
			t.Errorf("the first %d requests take %s, want no time", 1000-ration, d)
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
		r := start(t, Config{UserRate: 1, Peer: p.of})
		c := r.ln.dial(t)
		c.send(strings.Repeat("PING\n", 200))
		replies := make(chan int)
		go func() { replies <- strings.Count(c.rest(), "OK PONG\n") }()
		time.Sleep(time.Second)
		d := took(func() {
			r.stop()
			if n := <-replies; n != 200 {
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
		r := start(t, Config{MaxUserWaits: 3, Peer: p.of})
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

// A request that fails by a fault gives back its place.
func TestWaitingIsGivenBackAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peers{next: alice}
		r := start(t, Config{Engine: panicEngine{}, Peer: p.of})
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

// panicEngine holds nothing, and fails whoever asks for more.
type panicEngine struct{ Engine }

func (panicEngine) Cached([]byte) (refresh.Value, bool) { return refresh.Value{}, false }

func TestWatchesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peers{}
		r := start(t, Config{Peer: p.of})
		var watching []*client
		for range userWatches {
			c := r.dialAs(t, p, alice)
			c.want(c.ask("WATCH %s", token), "OK 1")
			c.line()
			watching = append(watching, c)
		}
		more, other := r.dialAs(t, p, alice), r.dialAs(t, p, bob)
		more.want(more.ask("WATCH %s", token), "ERR BUSY 1 too many watches of this user")
		more.want(more.ask("GET %s", token), "OK 7200 tok-01")
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
		r := start(t, Config{Peer: p.of, Engine: hugeEngine{n: 10_000}, WriteTimeout: time.Hour, WaitTimeout: 30 * time.Second})
		var slow []*client
		for range userLists { // who ask, and do not read
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
		r := start(t, Config{Peer: p.of, WriteTimeout: 10 * time.Second})
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
		r := start(t, Config{Peer: p.of})
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

// Whatever is taken and allowed, a bucket gives out no more than its burst and what has refilled
// since, and all of that.
func TestBucket(t *testing.T) {
	r := rate{each: 10 * time.Millisecond, burst: 50}
	random := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		var b bucket
		now, given := epoch, 0
		for range 1000 {
			now += time.Duration(random.IntN(20)) * time.Millisecond
			if b.allow(now, r) {
				given++
			}
			if most := r.burst + int((now-epoch)/r.each); given > most {
				t.Fatalf("%d given out in %s, want at most %d", given, now-epoch, most)
			}
		}
		if least := int((now - epoch) / r.each); given < min(least, 1000)-1 {
			t.Fatalf("%d given out in %s, want at least %d", given, now-epoch, least)
		}
	}
	var b bucket
	if d := b.take(epoch, r, 50); d != 0 {
		t.Errorf("a full bucket's worth takes %s, want no time", d)
	}
	if d := b.take(epoch, r, 10); d != 100*time.Millisecond {
		t.Errorf("ten more take %s, want 100ms", d)
	}
	b.giveBack(r, 10)
	if d := b.take(epoch+10*time.Millisecond, r, 1); d != 0 {
		t.Errorf("after giving back: %s, want no time", d)
	}
	if d := b.take(epoch+time.Hour, r, 50); d != 0 {
		t.Errorf("after an hour: %s, want no time", d)
	}
	if b.allow(epoch+time.Hour, r) {
		t.Error("an hour has filled it beyond its burst")
	}
}

// One who has a range of subordinate uids is many users; what is kept of them is bounded, and what they
// have done is not forgotten.
func TestManyUsers(t *testing.T) {
	us := &users{self: 990}
	held, _ := us.enter(1, 1<<20)
	held.stats.reads.Add(1)
	const n = 65_536
	most := 0
	for uid := range uint32(n) {
		u, ok := us.enter(100_000+uid, 1<<20)
		if !ok {
			t.Fatal("turned away")
		}
		u.stats.reads.Add(1)
		us.leave(u)
		most = max(most, len(us.all))
	}
	if most > 2*fewUsers {
		t.Errorf("%d users are remembered, want at most %d", most, 2*fewUsers)
	}
	if us.get(1) != held {
		t.Error("one who is connected has been forgotten")
	}
	if total := us.total(); total.reads.Load() != n+1 || total.connections.Load() != n+1 {
		t.Errorf("%d reads on %d connections are counted, want %d", total.reads.Load(), total.connections.Load(), n+1)
	}
}

// Hostile numbers of names and uids: what is counted of them is bounded.
func TestUsageIsBounded(t *testing.T) {
	var u usage
	var ns names
	for uid := range uint32(10_000) {
		u.of([]byte(token), 4_000_000_000+uid).n.Add(1)
	}
	if n := len(u.byName[token]); n != maxReaders+1 {
		t.Errorf("%d counters of one credential, want %d", n, maxReaders+1)
	}
	if got, want := u.describe(token, &ns), fmt.Sprintf("others=%d,", 10_000-maxReaders); !strings.HasPrefix(got, want) {
		t.Errorf("\n got %.100q\nwant %q at its beginning", got, want)
	}
	u.n = maxCounters - 100
	for i := range 1000 {
		u.of(fmt.Appendf(nil, "open_platform/wxcomponent/wx%d/access_token", i), 1).n.Add(1)
	}
	if n := len(u.byName); n != 1+100 || u.n != maxCounters {
		t.Errorf("%d counters of %d names, want %d of 101", u.n, n, maxCounters)
	}
	if got := u.rest.n.Load(); got != 900 {
		t.Errorf("%d counted together, want 900", got)
	}
	if got := u.describe("open_platform/wxcomponent/wx999/access_token", &ns); got != "" {
		t.Errorf("of what has no counter\n got %q\nwant nothing", got)
	}
}

func TestRoomLeavesDescriptors(t *testing.T) {
	if got := roomFor(10); got != 10 {
		t.Errorf("room for 10\n got %d\nwant 10", got)
	}
	if got := roomFor(1 << 40); got >= 1<<40 || got < 1 {
		t.Errorf("room for any number: got %d", got)
	}
}
