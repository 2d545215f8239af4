// Package clock measures lifetimes by a clock that suspend does not stop and
// that a stepped wall clock does not move. It knows nothing of what is timed.
//
// Go's monotonic clock stands still while the host is suspended, and the
// wall clock jumps when somebody sets it; a token's end obeys neither. An
// [Instant] counts from boot, suspend included (CLOCK_BOOTTIME). Reading that
// clock costs a system call, so Now reads the two cheap clocks and asks
// for the true one only when they have come apart: which they do when the host was
// suspended or the wall clock was set.
package clock

import (
	"math"
	"sync/atomic"
	"time"
)

// Instant is a moment of this boot, in nanoseconds. Instants of different boots
// do not compare; see [Clock.Wall] for what may be written to disk.
type Instant int64

// Add returns the instant d later.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Sub returns how long after j the instant i is.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i - j) }

// drift is how far the wall clock and the monotonic clock may come apart before
// the true clock is asked. Time servers slew by less than 500 ppm, so an
// undisturbed host reaches it about once in half an hour.
const drift = int64(time.Second)

// Clock tells [Instant]s. Its methods may be called concurrently. Make one with
// New.
type Clock struct {
	boottime func() time.Duration
	start    time.Time // monotonic reading of New

	last atomic.Pointer[reading]
}

// reading is how the clocks stood to each other when the true one was read: boottime, and the wall
// clock, minus monotonic time since start. The wall clock is read first. If the host is suspended
// between the two, the next Now finds that they have come apart.
type reading struct{ offset, wall int64 }

// New returns a clock that takes the true time from boottime: the time since
// boot, suspend included. A nil boottime stands for Go's monotonic clock, which
// is what tests in virtual time want.
func New(boottime func() time.Duration) *Clock {
	c := &Clock{boottime: boottime, start: time.Now()}
	c.resync(c.start)
	return c
}

// resync reads the true clock and returns the offset that it gives. It publishes what it has read,
// unless somebody else has published a reading since it began: that one is newer.
func (c *Clock) resync(now time.Time) int64 {
	before := c.last.Load()
	r := &reading{wall: now.UnixNano() - int64(now.Sub(c.start))}
	if c.boottime != nil {
		r.offset = int64(c.boottime()) - int64(time.Since(c.start))
	}
	c.last.CompareAndSwap(before, r)
	return r.offset
}

// Now returns the present instant. It does not allocate.
func (c *Clock) Now() Instant {
	i, _ := c.now()
	return i
}

func (c *Clock) now() (Instant, time.Time) {
	now := time.Now()
	mono := int64(now.Sub(c.start))
	last := c.last.Load()
	offset := last.offset
	if d := now.UnixNano() - mono - last.wall; d > drift || d < -drift {
		offset = c.resync(now)
	}
	return Instant(mono + offset), now
}

// Resync reads the true clock now. [Clock.Now] does so by itself when the cheap clocks
// have come apart by a second; whoever wakes seldom calls it to be exact.
func (c *Clock) Resync() { c.resync(time.Now()) }

// Lead returns how far the wall clock is ahead of the time since boot, as they were read last. It
// grows when somebody sets the wall clock forward. Time, and a suspend, do not change it.
func (c *Clock) Lead() time.Duration {
	last := c.last.Load()
	return time.Duration(last.wall - last.offset)
}

// Wall returns the wall clock's reading for i, for showing and for keeping
// beyond this boot. It is as right as the wall clock is now.
func (c *Clock) Wall(i Instant) time.Time {
	at, now := c.now()
	return now.Round(0).Add(i.Sub(at))
}

// At returns the instant at which the wall clock, as it stands now, shows t; the last there
// is where t is centuries away.
func (c *Clock) At(t time.Time) Instant {
	at, now := c.now()
	d := t.Sub(now.Round(0))
	if d > math.MaxInt64-time.Duration(at) {
		return math.MaxInt64
	}
	return at.Add(d)
}
