package server

import (
	"math"
	"sync/atomic"
	"time"
)

// What one user may have at once, besides connections and waiting requests (see [Limits]). Each
// bounds memory that a request can make the daemon hold; operators are not bound.
const (
	// userWatches bounds watches: the engine looks at each of them at every change.
	userWatches = 256

	// userLists bounds requests that walk through all there is: each holds a roll of
	// all of it, 4 MB with 100 000 credentials, until it has been written.
	userLists = 4

	// userDeaf bounds connections that have stopped reading: each holds some 100 KB of
	// replies here and twice that in the kernel until writeTimeout ends it.
	userDeaf = 64

	// userLong bounds connections with a line under way that does not fit in 4 KiB, for
	// which there is a buffer of up to 64 KiB until lineTimeout ends it.
	userLong = 64
)

// faultLines is how many lines there may be about a user's faults: whoever can ask again and again
// while the disk refuses would write as many. All users together are bound by allLines.
var faultLines = rate{each: time.Second, burst: 60}

// How many audit lines there may be of what anybody can do as often as they like. What only
// operators may do unless a rule says otherwise is never left out when it was done.
var (
	actLines    = rate{each: time.Second, burst: 60}             // for each user
	denialLines = rate{each: 10 * time.Second, burst: 20}        // for each user
	allLines    = rate{each: 20 * time.Millisecond, burst: 2000} // for all users together
	warnLines   = rate{each: time.Minute, burst: 1}              // for each user, or cause
)

// deafAfter is how long a peer may read nothing before it counts as one that has stopped
// reading. One that works empties what the kernel holds for it in less.
const deafAfter = 100 * time.Millisecond

// rate is how fast an allowance refills, and how much it holds.
type rate struct {
	each  time.Duration // until there is one more
	burst int
}

// bucket is an allowance that refills with time. It is full at first. Its one number is when, by
// the server's clock, it will be full but for its burst: the generic cell rate algorithm, which
// needs no lock and no timer.
type bucket struct{ due atomic.Int64 }

// take takes n, whether or not there are so many, and returns how long it will be until
// there would have been. Those who wait for it wait in the order in which they took.
func (b *bucket) take(now time.Duration, r rate, n int) (wait time.Duration) {
	for {
		old := b.due.Load()
		due := r.after(old, now, n)
		if b.due.CompareAndSwap(old, due) {
			return max(0, time.Duration(due)-now)
		}
	}
}

// allow takes one if there is one.
func (b *bucket) allow(now time.Duration, r rate) bool {
	for {
		old := b.due.Load()
		due := r.after(old, now, 1)
		if due > int64(now) {
			return false
		}
		if b.due.CompareAndSwap(old, due) {
			return true
		}
	}
}

// omitted is the lines of a user's that a log was spared since the last one written. Its zero value
// is none.
type omitted struct{ n atomic.Int64 }

// allow takes a line from own, which refills by r, and from all, which all users share. What it
// refuses, it counts.
func (o *omitted) allow(now time.Duration, own *bucket, r rate, all *bucket) bool {
	if own.allow(now, r) && all.allow(now, allLines) {
		return true
	}
	o.n.Add(1)
	return false
}

// tell appends to what a line says how many were left out before it, if any were.
func (o *omitted) tell(args []any) []any {
	if n := o.n.Swap(0); n > 0 {
		args = append(args, "unsaid", n)
	}
	return args
}

// giveBack gives back n of what was taken.
func (b *bucket) giveBack(r rate, n int) { b.due.Add(-int64(r.each) * int64(n)) }

func (r rate) after(due int64, now time.Duration, n int) int64 {
	full := int64(now) - int64(r.each)*int64(r.burst)
	return max(due, full) + int64(r.each)*int64(n)
}

// gauge counts what is held now.
type gauge struct{ n atomic.Int32 }

// enter holds one more, unless there are limit.
func (g *gauge) enter(limit int32) bool {
	if g.n.Add(1) > limit {
		g.n.Add(-1)
		return false
	}
	return true
}

func (g *gauge) leave() { g.n.Add(-1) }

// bound is limit for u.
func (u *user) bound(limit int) int32 {
	if u.operator {
		return math.MaxInt32
	}
	return int32(limit)
}
