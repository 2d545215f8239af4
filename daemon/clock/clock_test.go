package clock

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// host simulates a machine's clocks. booted and asleep determine the time since boot, which
// includes suspend; asked counts its reads.
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

// suspend suspends the host for d. In a bubble, Go's monotonic clock and the wall clock are the
// same and neither sees a suspend. Lowering the recorded wall reading by d makes the wall clock
// appear to have advanced by d.
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

// mustPass fails the test unless the clock has advanced by want since from.
func (h *host) mustPass(from Instant, want time.Duration) {
	h.t.Helper()
	if got := h.c.Now().Sub(from); got != want {
		h.t.Errorf("passed: got %v, want %v", got, want)
	}
}

func TestElapsedTime(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(h *host)
		want time.Duration
	}{
		{"no change", func(*host) {}, 0},
		{"suspended for an hour", func(h *host) { h.suspend(time.Hour) }, time.Hour},
		{"suspended for years", func(h *host) { h.suspend(3 * 365 * 24 * time.Hour) }, 3 * 365 * 24 * time.Hour},
		{"wall clock set back by 1h", func(h *host) { h.step(-time.Hour) }, 0},
		{"wall clock set forward by 3h", func(h *host) { h.step(3 * time.Hour) }, 0},
		{"wall clock corrected by 0.5s", func(h *host) { h.step(time.Second / 2) }, 0},
		{"suspended, wall clock set forward", func(h *host) { h.suspend(time.Hour); h.step(time.Hour) }, time.Hour},
		{"suspend hidden by setting the wall clock back, then Resync", func(h *host) {
			h.suspend(time.Hour)
			h.step(-time.Hour)
			h.c.Resync()
		}, time.Hour},
		{"suspended repeatedly", func(h *host) {
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

func TestBoottimeReadRarely(t *testing.T) {
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
			t.Errorf("%d reads of boottime without a change, want none", n)
		}
		h.step(time.Hour)
		for range 1000 {
			h.c.Now()
		}
		if n := h.asked.Load(); n != 1 {
			t.Errorf("%d reads of boottime after one step, want one", n)
		}
	})
}

// drift2 is a step below the limit.
const drift2 = time.Duration(drift) / 2

func TestWallAtRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		for _, d := range []time.Duration{0, time.Nanosecond, time.Hour, -time.Hour, 10 * 365 * 24 * time.Hour} {
			i := h.c.Now().Add(d)
			wall := h.c.Wall(i)
			if want := time.Now().Add(d); !wall.Equal(want) {
				t.Errorf("%v from now: got %v, want %v", d, wall, want)
			}
			if got := h.c.At(wall); got != i {
				t.Errorf("converted back: got %v, want %v", got, i)
			}
		}
		h.suspend(time.Hour)
		i := h.c.Now()
		if got := h.c.At(h.c.Wall(i)); got != i {
			t.Errorf("after a suspend: got %v, want %v", got, i)
		}
	})
}

func TestAtFarTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		now := h.c.Now()
		for _, year := range []int{2262, 3000, 9999} {
			if got := h.c.At(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)); got < now.Add(100*365*24*time.Hour) {
				t.Errorf("year %d: got %v, want at least 100 years after %v", year, got, now)
			}
		}
		if got := h.c.At(time.Unix(0, 0)); got > now {
			t.Errorf("1970: got %v, want a moment before %v", got, now)
		}
		if got := h.c.At(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)); got != math.MaxInt64 {
			t.Errorf("year 9999: got %v, want the last instant", got)
		}
	})
}

func TestWithoutBoottime(t *testing.T) {
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

// TestStaleReadingNotPublished publishes a reading taken before a suspend after a newer one.
func TestStaleReadingNotPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		inner := h.c.boottime
		read, resume := make(chan struct{}), make(chan struct{})
		var stalls atomic.Bool
		h.c.boottime = func() time.Duration {
			at := inner()
			if stalls.CompareAndSwap(true, false) {
				close(read)
				<-resume
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
		close(resume)
		<-done
		if h.c.last.Load() != newest {
			t.Error("the older reading was published over the newer one")
		}
		h.mustPass(began, time.Hour)
	})
}

// TestLead sets the wall clock and compares Lead with the time since boot.
func TestLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		lead := h.c.Lead()
		for _, tc := range []struct {
			name string
			wall time.Duration // time that passes on the wall clock
			boot time.Duration // time that passes since boot
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
				t.Errorf("%s: Lead grew by %v, want %v", tc.name, got, tc.want)
			}
		}
	})
}

// TestNoTimeBackwards reads the clock concurrently while the host is suspended repeatedly.
func TestNoTimeBackwards(t *testing.T) {
	var asleep atomic.Int64
	booted := time.Now()
	c := New(func() time.Duration { return time.Since(booted) + time.Duration(asleep.Load()) })
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			last := c.Now()
			for range 20_000 {
				now := c.Now()
				// The cheap clocks and boottime are not read at exactly the same time.
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

func TestNowAllocs(t *testing.T) {
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
