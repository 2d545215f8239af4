package server

import (
	"context"
	"io"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/throttle"
	"tokend/fetchers/secret"
	"tokend/protocol"
)

// Long requests get a fourth of a processor by their bytes, on all connections of a user together.
// Nothing is refused, and nobody else waits.
func TestLongRequestsAreCharged(t *testing.T) {
	page := "https://example.com/?" + strings.Repeat("x", 32_000)
	for verb, request := range map[string]string{
		"SIGN":   "SIGN " + ticket + " " + page,
		"REJECT": "REJECT " + token + " " + strings.Repeat("x", 32_000),
		"PUSH":   "PUSH " + platform + " " + strings.Repeat("0", 40) + " 1 n " + strings.Repeat("x", 60_000),
		"none":   strings.Repeat("x", 32_000),
	} {
		t.Run(verb, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &peers{}
				r := start(t, Config{peer: p.of, lineTimeout: time.Hour})
				const conns, each = 8, 5
				cost := time.Duration(len(request)) * byteCost
				done := make(chan time.Duration, conns)
				begin := time.Now()
				var all []*client
				for range conns {
					all = append(all, r.dialAs(t, p, alice))
				}
				other, root := r.dialAs(t, p, bob), r.dialAs(t, p, 0)
				for _, c := range all {
					go func() {
						for range each {
							c.ask("%s", request)
						}
						done <- time.Since(begin)
					}()
				}
				time.Sleep(conns * cost)
				if d := took(func() { other.ask("%s", request); other.want(other.ask("PING"), "OK PONG") }); d != 0 {
					t.Errorf("another user waits %s, want no time", d)
				}
				d := took(func() {
					for range 100 {
						root.ask("%s", request)
					}
				})
				if d != 0 {
					t.Errorf("root waits %s, want no time", d)
				}
				var last time.Duration
				for range conns {
					last = max(last, <-done)
				}
				least, most := workShare*(conns*each-9)*cost, workShare*conns*each*cost
				if last < least || last > most {
					t.Errorf("%d requests of %d bytes in %s, want between %s and %s", conns*each, len(request), last, least, most)
				}
				if n := r.users.get(alice).stats.slowed.Load(); n == 0 {
					t.Error("no pause is counted")
				}
				// A user that sends few long requests does not wait.
				time.Sleep(time.Second)
				if d := took(func() { all[0].ask("%s", request) }); d != 0 {
					t.Errorf("after a rest: %s, want no time", d)
				}
			})
		})
	}
}

// Long values are charged when they have been given out: what waits is the next request.
func TestLongValuesAreCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{peer: as(alice)})
		value := strings.Repeat("v", protocol.MaxValue)
		r.engine.creds[token].value = secret.Text(value)
		c := r.ln.dial(t)
		const n = 40
		c.send(strings.Repeat("GET "+token+"\n", n))
		d := took(func() {
			for range n {
				if got := c.line(); !strings.HasSuffix(got, value) {
					t.Fatalf("got %d bytes", len(got))
				}
			}
		})
		each := protocol.MaxValue * byteCost * workShare
		if d < (n-5)*each || d > n*each {
			t.Errorf("%d values in %s, want about %s each", n, d, each)
		}
		// The requests that were drawn and not used have been given back.
		time.Sleep(time.Minute)
		if d := took(func() { c.want(c.ask("PING"), "OK PONG") }); d != 0 {
			t.Errorf("after a rest: %s, want no time", d)
		}
	})
}

// A look that has taken long is paid for before the user's next one, on whatever connection. What
// else the user asks for does not wait, and neither does anybody else.
func TestTimeIsCharged(t *testing.T) {
	for _, request := range []string{"LIST", "STATS", "STATUS " + token, "HISTORY " + token} {
		synctest.Test(t, func(t *testing.T) {
			p := &peers{}
			engine := slowEngine{newFakeEngine()}
			r := start(t, Config{Engine: engine, peer: p.of})
			look := func(uid uint32) time.Duration {
				c := r.dialAs(t, p, uid)
				defer c.Close()
				return took(func() { c.ask("%s", request) })
			}
			const own = 50 * time.Millisecond // of the request itself
			if d := look(alice); d != own {
				t.Errorf("%s takes %s, want %s", request, d, own)
			}
			for range 3 {
				d := look(alice)
				if want := workShare*own + own; d < want-own-5*time.Millisecond || d > want {
					t.Errorf("the next %s takes %s, want about %s", request, d, want)
				}
			}
			c := r.dialAs(t, p, alice)
			if d := took(func() { c.ask("GET %s", token) }); d != 0 {
				t.Errorf("a GET waits %s, want no time", d)
			}
			for _, uid := range []uint32{bob, 0, 0} {
				if d := look(uid); d != own {
					t.Errorf("%s of %d takes %s, want %s", request, uid, d, own)
				}
			}
		})
	}
}

// slowEngine takes its time for a look.
type slowEngine struct{ *fakeEngine }

func (e slowEngine) List(work *throttle.Work, prefix string, may func(string) bool) (int, iter.Seq[credential.Listing]) {
	time.Sleep(50 * time.Millisecond)
	return e.fakeEngine.List(work, prefix, may)
}

func (e slowEngine) Stats() []credential.Stat {
	time.Sleep(50 * time.Millisecond)
	return e.fakeEngine.Stats()
}

func (e slowEngine) Status(name string) (credential.Status, error) {
	time.Sleep(50 * time.Millisecond)
	return e.fakeEngine.Status(name)
}

func (e slowEngine) History(name string) ([]credential.Attempt, error) {
	time.Sleep(50 * time.Millisecond)
	return e.fakeEngine.History(name)
}

// TestWaitNotCharged checks that a LIST is charged for its work, and not for its wait while others
// work.
func TestWaitNotCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := &peers{}, throttle.New()
		r := start(t, Config{Engine: steppingEngine{newFakeEngine(), 10_000, new(atomic.Bool)}, Throttle: b, peer: p.of})
		ctx, stop := context.WithCancel(t.Context())
		var others sync.WaitGroup
		for range 50 {
			others.Go(func() {
				w := b.Begin(ctx)
				defer w.End()
				for ctx.Err() == nil {
					time.Sleep(time.Microsecond)
					w.Step()
				}
			})
		}
		c := r.dialAs(t, p, alice)
		first := took(func() { c.ask("LIST none/") })
		stop()
		others.Wait()
		const own = 10 * time.Millisecond
		if first < 50*own {
			t.Fatalf("the first LIST took %s: it has not waited", first)
		}
		if d := took(func() { c.ask("LIST none/") }); d > (workShare+2)*own {
			t.Errorf("the next LIST took %s, want at most %s", d, (workShare+2)*own)
		}
	})
}

// TestListLeft checks that a LIST ends soon after its peer has closed.
func TestListLeft(t *testing.T) {
	for _, verb := range []string{"LIST", "WATCH"} {
		synctest.Test(t, func(t *testing.T) {
			engine := steppingEngine{newFakeEngine(), 1 << 21, new(atomic.Bool)}
			r := start(t, Config{Engine: engine, Throttle: throttle.New()})
			c := r.ln.dial(t)
			c.send(verb + " none/\n")
			time.Sleep(time.Second)
			if engine.left.Load() {
				t.Fatal("the list has ended before its peer has closed")
			}
			c.Close()
			time.Sleep(time.Second)
			if !engine.left.Load() {
				t.Errorf("%s continues after its peer has closed", verb)
			}
		})
	}
}

// steppingEngine takes steps of a microsecond for a list.
type steppingEngine struct {
	*fakeEngine
	steps int
	left  *atomic.Bool // a list has been left
}

func (e steppingEngine) List(work *throttle.Work, prefix string, may func(string) bool) (int, iter.Seq[credential.Listing]) {
	for range e.steps {
		time.Sleep(time.Microsecond)
		if !work.Step() {
			e.left.Store(true)
			break
		}
	}
	return e.fakeEngine.List(work, prefix, may)
}

func (e steppingEngine) Watch(work *throttle.Work, prefix string, may func(string) bool) (int, iter.Seq[credential.Listing], Watch) {
	n, all := e.List(work, prefix, may)
	_, _, w := e.fakeEngine.Watch(work, prefix, may)
	return n, all, w
}

// TestWatchListBeforeEnd checks that the list of a WATCH is complete although the peer has already
// sent what ends the watch.
func TestWatchListBeforeEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := steppingEngine{newFakeEngine(), 1 << 14, new(atomic.Bool)}
		r := start(t, Config{Engine: engine, Throttle: throttle.New()})
		c := r.ln.dial(t)
		c.send("WATCH none/\nQUIT\n")
		if all, err := io.ReadAll(c); err != nil || string(all) != "OK 0\n" {
			t.Errorf("got %q, %v", all, err)
		}
	})
}
