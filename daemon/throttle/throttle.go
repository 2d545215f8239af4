package throttle

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// slice is the time that work runs between two pauses. Timers have a resolution of 1 ms, so
	// shorter slices would spend more time in pauses.
	slice = time.Millisecond

	// share is the ratio of elapsed time to work time: 2 for half of a processor.
	share = 2

	// free is the time that work runs before it queues for its first slice. A few hundred lines of
	// a list take this long.
	free = slice / 4

	// most is the maximum length of a slice. Work that takes longer was blocked by a lock or a slow
	// reader, or its thread waited for a processor. The next slice begins then.
	most = 5 * slice

	// stepsPerLook is the number of steps, of up to 1 us each, between two checks of the clock.
	// Each check also yields the processor, see Yield.
	stepsPerLook = 64
)

// Budget is the processor time that all long work shares. Its methods may be called concurrently. A
// nil Budget delays nothing.
type Budget struct {
	mu      sync.Mutex // guards the fields below
	queue   []*Work    // work that waits for a slice: urgent work, then other work, each in order
	current *Work      // has the slice; nil for none
	until   time.Time  // when current loses the slice
	next    time.Time  // when the next slice may begin
	lifted  bool
}

// New returns a budget of half of a processor.
func New() *Budget { return new(Budget) }

// Lift ends all delays, so that work in flight finishes quickly when the process stops.
func (b *Budget) Lift() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lifted = true
	for _, w := range b.queue {
		w.wakeUp()
	}
}

// Begin starts long work. The work ends with ctx at the latest.
func (b *Budget) Begin(ctx context.Context) *Work {
	if b == nil {
		return nil
	}
	return &Work{budget: b, ctx: ctx, began: time.Now(), allowed: free, wake: make(chan struct{}, 1)}
}

// BeginUrgent is like [Budget.Begin] for work of which the process does one at a time. It gets its
// slices before all other work.
func (b *Budget) BeginUrgent(ctx context.Context) *Work {
	w := b.Begin(ctx)
	if w != nil {
		w.class = urgent
	}
	return w
}

// BeginShort is like [Budget.Begin] for work whose length does not depend on the number of
// customers. Together such work gets at least every second slice, however much other work there is.
func (b *Budget) BeginShort(ctx context.Context) *Work {
	w := b.Begin(ctx)
	if w != nil {
		w.class = short
	}
	return w
}

// enqueueLocked adds w to the queue: urgent work first, then other work and short work alternately.
func (b *Budget) enqueueLocked(w *Work) {
	i := len(b.queue)
	switch w.class {
	case urgent:
		i = slices.IndexFunc(b.queue, func(other *Work) bool { return other.class != urgent })
	case short:
		last := 0 // behind urgent work and the last short work
		for at, other := range b.queue {
			if other.class != long {
				last = at + 1
			}
		}
		i = last + 1
	}
	if i < 0 || i > len(b.queue) {
		i = len(b.queue)
	}
	b.queue = slices.Insert(b.queue, i, w)
}

// forLocked returns how long w sleeps before it checks the budget again, unless it is woken
// earlier. Zero means that w gets the slice. w is in the queue.
func (b *Budget) forLocked(w *Work, now time.Time) time.Duration {
	switch {
	case b.lifted:
		return 0
	case b.queue[0] != w:
		return time.Hour // w is woken when it is the first
	case b.current != nil && now.Before(b.until):
		return b.until.Sub(now)
	}
	return max(0, b.next.Sub(now))
}

// takeLocked removes w from the queue and gives it the slice.
func (b *Budget) takeLocked(w *Work, now time.Time) {
	b.dropLocked(w)
	b.current, b.until = w, now.Add(most)
}

// dropLocked removes w from the queue. If w was the first, dropLocked wakes the next.
func (b *Budget) dropLocked(w *Work) {
	i := slices.Index(b.queue, w)
	b.queue = slices.Delete(b.queue, i, i+1)
	if i == 0 {
		b.wakeLocked()
	}
}

// leaveLocked ends the slice of w. worked is the time that w has used.
func (b *Budget) leaveLocked(w *Work, now time.Time, worked time.Duration) {
	if b.current == w {
		b.current = nil
	} else { // w is in its free time, or has lost the slice
		worked = min(worked, slice)
	}
	if b.next.Before(now) {
		b.next = now
	}
	b.next = b.next.Add((share - 1) * min(worked, most))
	b.wakeLocked()
}

// wakeLocked makes the first in the queue check the budget again.
func (b *Budget) wakeLocked() {
	if len(b.queue) > 0 {
		b.queue[0].wakeUp()
	}
}

// class decides when work gets its slices.
type class uint8

const (
	long class = iota
	short
	urgent
)

// Work is long work of one goroutine. A nil Work is never delayed.
type Work struct {
	budget  *Budget
	ctx     context.Context
	class   class
	steps   int
	waited  time.Duration // in all
	began   time.Time     // start of the slice
	allowed time.Duration // length of the slice
	wake    chan struct{} // a level trigger: the budget has changed
}

// Step must be called between two steps of up to 1 us each. It returns at once while the slice
// lasts, and otherwise when the next slice begins. It returns false if the work's ctx has ended,
// which it checks at the end of a slice only.
//
// The caller must not hold a lock.
func (w *Work) Step() (more bool) {
	if w == nil {
		return true
	}
	if w.steps++; w.steps%stepsPerLook != 0 {
		return true
	}
	return w.Pause()
}

// Pause is like [Work.Step] after a step of many microseconds. Each call checks the clock and
// yields the processor.
func (w *Work) Pause() (more bool) {
	if w == nil {
		return true
	}
	worked := time.Since(w.began)
	if worked < w.allowed {
		Yield()
		return true
	}
	began := time.Now()
	more = w.wait(worked)
	w.began, w.allowed = time.Now(), slice
	w.waited += w.began.Sub(began)
	return more
}

// Rest returns the rest of the slice. Work calls it before it waits for something else, such as a
// client. The next step waits for another slice.
func (w *Work) Rest() {
	if w == nil || w.allowed == free {
		return
	}
	b, now := w.budget, time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current == w {
		b.leaveLocked(w, now, now.Sub(w.began))
	}
	w.began, w.allowed = now, 0
}

// Waited returns how long w has waited for its slices. It is not safe for concurrent use with Step.
func (w *Work) Waited() time.Duration {
	if w == nil {
		return 0
	}
	return w.waited
}

// End ends the work. Without End, other work waits until the slice is lost.
func (w *Work) End() { w.Rest() }

// wait ends the slice and waits for another. worked is the time that w has used. wait returns false
// if ctx has ended.
func (w *Work) wait(worked time.Duration) bool {
	b, now := w.budget, time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.allowed > 0 {
		b.leaveLocked(w, now, worked)
	}
	b.enqueueLocked(w)
	d := b.forLocked(w, now)
	if d == 0 {
		b.mu.Unlock()
		Yield() // other threads have waited for a whole slice
		b.mu.Lock()
		d = b.forLocked(w, time.Now())
	}
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		for ; d > 0 && w.ctx.Err() == nil; d = b.forLocked(w, time.Now()) {
			timer.Reset(d)
			b.mu.Unlock()
			select {
			case <-timer.C:
			case <-w.wake:
			case <-w.ctx.Done():
			}
			b.mu.Lock()
		}
	}
	if w.ctx.Err() != nil {
		b.dropLocked(w)
		return false
	}
	b.takeLocked(w, time.Now())
	return true
}

func (w *Work) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
