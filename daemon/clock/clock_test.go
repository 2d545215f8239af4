package clock

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// host is a machine's clocks, as a Clock sees them: time since boot, which goes on in a
// suspend, and how often it was asked for.
type host struct {
	t      *testing.T
	c      *Clock
	booted time.Time
	asleep atomic.Int64
	asked  atomic.Int32
}

func newHost(t *testing.T) *host {
	h := &host{t: t, booted: time.Now().Add(-time.Hour)}
	h.c = New(func() time.Duration {
		h.asked.Add(1)
		return time.Since(h.booted) + time.Duration(h.asleep.Load())
	})
	return h
}

// suspend lets the host sleep for d. Go's monotonic clock, which in a bubble is the wall
// clock, too, does not see it; what the wall clock shows from then on against the
// monotonic one is what it was taken to show less d.
func (h *host) suspend(d time.Duration) {
	h.asleep.Add(int64(d))
	h.step(d)
}

// step sets the wall clock forward by d.
func (h *host) step(d time.Duration) {
	last := *h.c.last.Load()
	last.wall -= int64(d)
	h.c.last.Store(&last)
}

// mustPass fails unless want has passed on the clock since from.
func (h *host) mustPass(from Instant, want time.Duration) {
	h.t.Helper()
	if got := h.c.Now().Sub(from); got != want {
		h.t.Errorf("passed: got %v, want %v", got, want)
	}
}

func TestTimePassesWhateverIsDoneToTheClocks(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(h *host)
		want time.Duration
	}{
		{"nothing is", func(*host) {}, 0},
		{"a suspend of an hour", func(h *host) { h.suspend(time.Hour) }, time.Hour},
		{"a suspend of years", func(h *host) { h.suspend(3 * 365 * 24 * time.Hour) }, 3 * 365 * 24 * time.Hour},
		{"the wall clock set back by an hour", func(h *host) { h.step(-time.Hour) }, 0},
		{"the wall clock set forward by three", func(h *host) { h.step(3 * time.Hour) }, 0},
		{"the wall clock corrected by half a second", func(h *host) { h.step(time.Second / 2) }, 0},
		{"a suspend, and the wall clock set forward", func(h *host) { h.suspend(time.Hour); h.step(time.Hour) }, time.Hour},
		{"a suspend hidden by a wall clock set back, and somebody who wakes", func(h *host) {
			h.suspend(time.Hour)
			h.step(-time.Hour)
			h.c.Resync()
		}, time.Hour},
		{"suspend after suspend", func(h *host) {
			for range 10 {
				h.suspend(time.Minute)
				h.c.Now()
			}
		}, 10 * time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t)
				began := h.c.Now()
				time.Sleep(5 * time.Minute)
				tc.do(h)
				h.mustPass(began, 5*time.Minute+tc.want)
				time.Sleep(5 * time.Minute)
				h.mustPass(began, 10*time.Minute+tc.want)
			})
		})
	}
}

func TestTheTrueClockIsAskedOnlyWhenTheCheapOnesComeApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.asked.Store(0)
		for range 1000 {
			time.Sleep(time.Second)
			h.c.Now()
		}
		h.step(drift2)
		h.c.Now()
		if n := h.asked.Load(); n != 0 {
			t.Errorf("asked %d times while nothing happened, want none", n)
		}
		h.step(time.Hour)
		for range 1000 {
			h.c.Now()
		}
		if n := h.asked.Load(); n != 1 {
			t.Errorf("asked %d times about one step, want once", n)
		}
	})
}

// drift2 is a correction that is let pass.
const drift2 = time.Duration(drift) / 2

func TestWallAndAtAreEachOthersReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		for _, d := range []time.Duration{0, time.Nanosecond, time.Hour, -time.Hour, 10 * 365 * 24 * time.Hour} {
			i := h.c.Now().Add(d)
			wall := h.c.Wall(i)
			if want := time.Now().Add(d); !wall.Equal(want) {
				t.Errorf("%v from now: got %v, want %v", d, wall, want)
			}
			if got := h.c.At(wall); got != i {
				t.Errorf("and back: got %v, want %v", got, i)
			}
		}
		h.suspend(time.Hour)
		i := h.c.Now()
		if got := h.c.At(h.c.Wall(i)); got != i {
			t.Errorf("after a suspend: got %v, want %v", got, i)
		}
	})
}

func TestNoTimeIsTooFar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		now := h.c.Now()
		for _, year := range []int{2262, 3000, 9999} {
			if got := h.c.At(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)); got < now.Add(100*365*24*time.Hour) {
				t.Errorf("year %d: got %v, want what is far ahead of %v", year, got, now)
			}
		}
		if got := h.c.At(time.Unix(0, 0)); got > now {
			t.Errorf("1970: got %v, want what is before %v", got, now)
		}
		if got := h.c.At(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)); got != math.MaxInt64 {
			t.Errorf("beyond what can be told: got %v, want the last instant", got)
		}
	})
}

func TestWithoutATrueClockTheMonotonicOneServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(nil)
		began := c.Now()
		time.Sleep(time.Hour)
		c.last.Store(&reading{wall: c.last.Load().wall + int64(time.Hour)})
		if got := c.Now().Sub(began); got != time.Hour {
			t.Errorf("got %v, want 1h", got)
		}
	})
}

// TestStaleReadingNotPublished shows that a reading taken before a suspend does not replace a newer
// one, in whatever order the two are published.
func TestStaleReadingNotPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		inner := h.c.boottime
		read, goOn := make(chan struct{}), make(chan struct{})
		var stalls atomic.Bool
		h.c.boottime = func() time.Duration {
			at := inner()
			if stalls.CompareAndSwap(true, false) {
				close(read)
				<-goOn
			}
			return at
		}
		began := h.c.Now()
		stalls.Store(true)
		done := make(chan struct{})
		go func() { defer close(done); h.c.Resync() }()
		<-read
		h.suspend(time.Hour)
		h.mustPass(began, time.Hour)
		newest := h.c.last.Load()
		close(goOn)
		<-done
		if h.c.last.Load() != newest {
			t.Error("the older reading was published over the newer one")
		}
		h.mustPass(began, time.Hour)
	})
}

// TestLead holds that the wall clock's lead tells how it was set against the time since boot.
func TestLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		lead := h.c.Lead()
		for _, tc := range []struct {
			name string
			wall time.Duration // passes on it, and
			boot time.Duration // on the other
			want time.Duration
		}{
			{"an hour passes", time.Hour, time.Hour, 0},
			{"set back", 0, time.Hour, -time.Hour},
			{"set forward", 3 * time.Hour, 0, 2 * time.Hour},
		} {
			time.Sleep(tc.wall)
			h.asleep.Add(int64(tc.boot - tc.wall))
			h.c.Resync()
			if got := h.c.Lead() - lead; got != tc.want {
				t.Errorf("%s: the lead has grown by %v, want %v", tc.name, got, tc.want)
			}
		}
	})
}

// TestNobodySeesTimeGoBack has readers look at a clock while the host is suspended again and
// again.
func TestNobodySeesTimeGoBack(t *testing.T) {
	var asleep atomic.Int64
	booted := time.Now()
	c := New(func() time.Duration { return time.Since(booted) + time.Duration(asleep.Load()) })
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			last := c.Now()
			for range 20_000 {
				now := c.Now()
				// The two cheap clocks are read a moment apart from the true one.
				if now < last.Add(-time.Millisecond) {
					t.Errorf("went back by %v", last.Sub(now))
					return
				}
				last = now
			}
		})
	}
	for range 200 {
		asleep.Add(int64(time.Hour))
		c.Resync()
	}
	readers.Wait()
}

func TestNowDoesNotAllocate(t *testing.T) {
	c := New(func() time.Duration { return 0 })
	if n := testing.AllocsPerRun(100, func() { c.Now() }); n != 0 {
		t.Errorf("allocations: got %v, want none", n)
	}
}

func BenchmarkNow(b *testing.B) {
	c := New(func() time.Duration { return 0 })
	for b.Loop() {
		c.Now()
	}
}
