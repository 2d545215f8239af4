package throttle

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// slice is how long work goes on between two pauses. A shorter one spends more on the pauses:
	// timers are exact to a millisecond.
	slice = time.Millisecond

	// share is how much time passes for each piece of work: two for half of a processor.
	share = 2

	// free is how long work goes on before its first slice, for which it queues. It is that of some
	// hundred lines of a list.
	free = slice / 4

	// most is how long a slice lasts at most. What has taken longer has waited, for a lock or for
	// whoever reads, or its thread for a processor: the next slice begins then.
	most = 5 * slice

	// stepsPerLook is how many steps, of a microsecond or less, are between two looks at the clock.
	// At each look, threads that wait for a processor get one, see Yield.
	stepsPerLook = 64
)

// Budget is processor time that all long work shares. Its methods may be called concurrently. A nil
// Budget delays nothing.
type Budget struct {
	mu      sync.Mutex // guards what follows
	queue   []*Work    // waits for a slice, in this order
	current *Work      // has the slice; nil for none
	until   time.Time  // when current loses it
	next    time.Time  // when the next slice may begin
	lifted  bool
}

// New returns a budget of half of a processor.
func New() *Budget { return new(Budget) }

// Lift ends all delays, for a process that stops: what is under way ends as soon as it can.
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

// Begin begins long work, which ends with ctx at the latest.
func (b *Budget) Begin(ctx context.Context) *Work {
	if b == nil {
		return nil
	}
	return &Work{budget: b, ctx: ctx, began: time.Now(), allowed: free, wake: make(chan struct{}, 1)}
}

// forLocked returns how long w waits until the next look at the budget, unless it is woken before;
// zero for not at all. w is in the queue.
func (b *Budget) forLocked(w *Work, now time.Time) time.Duration {
	switch {
	case b.lifted:
		return 0
	case b.queue[0] != w:
		return time.Hour // it is woken when it is the first
	case b.current != nil && now.Before(b.until):
		return b.until.Sub(now)
	}
	return max(0, b.next.Sub(now))
}

// takeLocked gives w, which is in the queue, the slice.
func (b *Budget) takeLocked(w *Work, now time.Time) {
	b.dropLocked(w)
	b.current, b.until = w, now.Add(most)
}

// dropLocked takes w out of the queue, and wakes the first of those behind it.
func (b *Budget) dropLocked(w *Work) {
	i := slices.Index(b.queue, w)
	b.queue = slices.Delete(b.queue, i, i+1)
	if i == 0 {
		b.wakeLocked()
	}
}

// leaveLocked ends the slice of w, in which it has worked for so long.
func (b *Budget) leaveLocked(w *Work, now time.Time, worked time.Duration) {
	if b.current == w {
		b.current = nil
	} else { // it is at its beginning, or has lost the slice
		worked = min(worked, slice)
	}
	if b.next.Before(now) {
		b.next = now
	}
	b.next = b.next.Add((share - 1) * min(worked, most))
	b.wakeLocked()
}

// wakeLocked has the first in the queue look again.
func (b *Budget) wakeLocked() {
	if len(b.queue) > 0 {
		b.queue[0].wakeUp()
	}
}

// Work is long work of one goroutine. A nil Work is never delayed.
type Work struct {
	budget  *Budget
	ctx     context.Context
	steps   int
	began   time.Time     // of the slice
	allowed time.Duration // how long the slice is
	wake    chan struct{} // a level trigger: the budget has changed
}

// Step is called between two steps of a microsecond or less. It returns at once unless the slice
// has been used up; otherwise when the next one begins. It reports whether to go on: not when the
// work's ctx has ended, of which it takes note at the end of a slice.
//
// Whoever calls it holds no lock.
func (w *Work) Step() (more bool) {
	if w == nil {
		return true
	}
	if w.steps++; w.steps%stepsPerLook != 0 {
		return true
	}
	return w.Pause()
}

// Pause is Step for a step of many microseconds: it looks at the clock at once, and lets other
// threads have the processor.
func (w *Work) Pause() (more bool) {
	if w == nil {
		return true
	}
	worked := time.Since(w.began)
	if worked < w.allowed {
		Yield()
		return true
	}
	more = w.wait(worked)
	w.began, w.allowed = time.Now(), slice
	return more
}

// Rest gives back what is left of the slice, for work that is about to wait for something else,
// such as a client that reads. The next step waits for another slice.
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

// End is called when the work is done. Without it, others wait until the slice is lost.
func (w *Work) End() { w.Rest() }

// wait ends the slice, in which w has worked for so long, waits for another, and reports whether
// ctx has not ended by then.
func (w *Work) wait(worked time.Duration) bool {
	b, now := w.budget, time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.allowed > 0 {
		b.leaveLocked(w, now, worked)
	}
	b.queue = append(b.queue, w)
	d := b.forLocked(w, now)
	if d == 0 {
		b.mu.Unlock()
		Yield() // whoever waits for a processor has waited long enough
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
