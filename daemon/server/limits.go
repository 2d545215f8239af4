package server

import (
	"math"
	"sync/atomic"
	"time"
)

// What one user may have at once, besides connections and waiting requests (see [Limits]). Each
// limit bounds the memory that requests can occupy. None applies to operators.
const (
	// userWatches bounds watches: the engine checks each of them at every change.
	userWatches = 256

	// userChannels bounds the bytes of channels that peers have subscribed to, most of which may
	// stay silent.
	userChannels = 4 << 20

	// userLists bounds requests that walk through all credentials: each holds a list of them, 4 MB
	// with 100 000 credentials, until it has been written.
	userLists = 4

	// userDeaf bounds connections that have stopped reading: until writeTimeout, each holds some
	// 100 KB of replies here and twice that in the kernel.
	userDeaf = 64

	// userLong bounds connections with an incomplete request of more than 4 KiB: until lineTimeout,
	// each has a buffer of up to 64 KiB.
	userLong = 64
)

// faultLines limits the log lines about a user's faults: while the disk refuses writes, each
// request would log one. allLines limits those of all users together.
var faultLines = rate{each: time.Second, burst: 60}

// Limits of audit lines about requests that any user can repeat. A successful request that is for
// operators, unless a rule grants it, is always logged.
var (
	actLines    = rate{each: time.Second, burst: 60}             // for each user
	denialLines = rate{each: 10 * time.Second, burst: 20}        // for each user
	allLines    = rate{each: 20 * time.Millisecond, burst: 2000} // for all users together
	warnLines   = rate{each: time.Minute, burst: 1}              // for each user, or cause
)

// deafAfter is the time without a read after which a peer is counted in userDeaf. A healthy peer
// empties the kernel's buffer in less.
const deafAfter = 100 * time.Millisecond

// rate is how fast an allowance refills, and how much it holds.
type rate struct {
	each  time.Duration // for one unit
	burst int
}

// bucket is an allowance that refills with time. It begins full. It is the generic cell rate
// algorithm, which needs neither a lock nor a timer: due is its theoretical arrival time, by the
// server's clock.
type bucket struct{ due atomic.Int64 }

// take takes n, even if the bucket has fewer, and returns how long the caller must wait before it
// uses them. Callers wait in the order of their calls.
func (b *bucket) take(now time.Duration, r rate, n int) (wait time.Duration) {
	for {
		old := b.due.Load()
		due := r.after(old, now, n)
		if b.due.CompareAndSwap(old, due) {
			return max(0, time.Duration(due)-now)
		}
	}
}

// allow takes one, if the bucket has one.
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

// omitted counts a user's log lines that were omitted since the last written one. The zero value is
// none.
type omitted struct{ n atomic.Int64 }

// allow takes one from own, which refills by r, and one from all, which all users share. If either
// is empty, it counts an omitted line.
func (o *omitted) allow(now time.Duration, own *bucket, r rate, all *bucket) bool {
	if own.allow(now, r) && all.allow(now, allLines) {
		return true
	}
	o.n.Add(1)
	return false
}

// tell appends to a line how many were omitted before it, if any.
func (o *omitted) tell(args []any) []any {
	if n := o.n.Swap(0); n > 0 {
		args = append(args, "omitted", n)
	}
	return args
}

// giveBack returns n units that take has taken.
func (b *bucket) giveBack(r rate, n int) { b.due.Add(-int64(r.each) * int64(n)) }

func (r rate) after(due int64, now time.Duration, n int) int64 {
	full := int64(now) - int64(r.each)*int64(r.burst)
	return max(due, full) + int64(r.each)*int64(n)
}

// gauge counts what is in progress.
type gauge struct{ n atomic.Int32 }

// enter counts one more, unless there are limit.
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
