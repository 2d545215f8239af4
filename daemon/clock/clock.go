// Package clock measures lifetimes with a clock that includes suspend and ignores changes of the
// wall clock. It does not know what is timed.
//
// Go's monotonic clock stops while the host is suspended, and the wall clock jumps when an operator
// sets it. A token's expiry is affected by neither. An [Instant] therefore counts from boot,
// suspend included (CLOCK_BOOTTIME). Reading that clock costs a system call. [Clock.Now] reads the
// two cheap clocks. It reads CLOCK_BOOTTIME only when their difference has changed: the host was
// suspended or the wall clock was set.
package clock

import (
	"math"
	"sync/atomic"
	"time"
)

// Instant is a moment of this boot, in nanoseconds. Instants of different boots cannot be compared.
// [Clock.Wall] converts an Instant to a time that can be stored.
type Instant int64

// Add returns the instant d later.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Sub returns the duration i-j.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i - j) }

// drift is how far the wall clock and the monotonic clock may diverge before boottime is read
// again. Time servers slew by less than 500 ppm, so an undisturbed host reaches the limit about
// once in half an hour.
const drift = int64(time.Second)

// Clock returns [Instant]s. Its methods may be called concurrently. Create a Clock with New.
type Clock struct {
	boottime func() time.Duration
	wall     func() time.Time // nil for time.Now
	start    time.Time        // monotonic reading at New

	last atomic.Pointer[reading]
}

// reading is the state of the clocks when boottime was last read: boottime and the wall clock, each
// minus the monotonic time since start. The wall clock is read first. If the host is suspended
// between the two reads, the next Now detects the divergence. shown is the wall clock that the
// Clock shows: the same, unless another was given.
type reading struct{ offset, wall, shown int64 }

// New returns a clock based on boottime, which returns the time since boot, suspend included. With
// a nil boottime the clock uses Go's monotonic clock, as tests in virtual time need.
func New(boottime func() time.Duration) *Clock { return NewWall(boottime, nil) }

// NewWall is New with another wall clock than time.Now, unless wall is nil: a simulation has hosts
// whose wall clocks differ. A step of wall is noticed by the next [Clock.Resync].
func NewWall(boottime func() time.Duration, wall func() time.Time) *Clock {
	c := &Clock{boottime: boottime, wall: wall, start: time.Now()}
	c.resync(c.start)
	return c
}

// resync reads boottime and returns the resulting offset. It publishes the reading unless another
// goroutine has published one in the meantime: that reading is newer.
func (c *Clock) resync(now time.Time) int64 {
	before := c.last.Load()
	mono := int64(now.Sub(c.start))
	r := &reading{wall: now.UnixNano() - mono, shown: c.shown(now).UnixNano() - mono}
	if c.boottime != nil {
		r.offset = int64(c.boottime()) - int64(time.Since(c.start))
	}
	c.last.CompareAndSwap(before, r)
	return r.offset
}

// Now returns the current instant. It does not allocate.
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

// Resync reads boottime now. [Clock.Now] does so only after the cheap clocks have diverged by a
// second. A caller that wakes rarely calls Resync for an exact result.
func (c *Clock) Resync() { c.resync(time.Now()) }

// Lead returns how far the wall clock is ahead of the time since boot, as of the last reading. It
// grows when the wall clock is set forward. Elapsed time and suspend do not change it.
func (c *Clock) Lead() time.Duration {
	last := c.last.Load()
	return time.Duration(last.shown - last.offset)
}

// shown returns the wall clock's time at now, which time.Now has just returned.
func (c *Clock) shown(now time.Time) time.Time {
	if c.wall != nil {
		return c.wall()
	}
	return now
}

// Time returns the wall clock's time now.
func (c *Clock) Time() time.Time { return c.shown(time.Now()) }

// Wall converts i to wall-clock time, for display and for storage. The result is as accurate as the
// wall clock is now.
func (c *Clock) Wall(i Instant) time.Time {
	at, now := c.now()
	return c.shown(now).Round(0).Add(i.Sub(at))
}

// At returns the instant at which the wall clock will show t if nobody sets it. It returns the
// largest Instant if t is centuries away.
func (c *Clock) At(t time.Time) Instant {
	at, now := c.now()
	d := t.Sub(c.shown(now).Round(0))
	if d > math.MaxInt64-time.Duration(at) {
		return math.MaxInt64
	}
	return at.Add(d)
}
