package throttle

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// slice is how long work goes on between two pauses: what a request may wait for at most where
	// it has to share a processor with the work. A shorter one spends more on the pauses themselves.
	slice = time.Millisecond

	// share is how much time is reserved for each piece of work: two for half of a processor.
	share = 2

	// free is how long work goes on before its first slice, which is reserved. It is that of some
	// hundred lines of a list.
	free = slice / 4

	// most is how much time is charged for one slice. What has taken longer has waited, for a lock
	// or for whoever reads.
	most = 2 * slice

	// stepsPerLook is how many steps, of a microsecond or less, are between two looks at the clock.
	stepsPerLook = 64
)

// Budget is processor time that all long work shares. Its methods may be called concurrently. A nil
// Budget delays nothing.
type Budget struct {
	made   time.Time    // the zero of next
	next   atomic.Int64 // when the next slice may begin: behind those that are reserved
	lifted atomic.Bool
}

// New returns a budget of half of a processor.
func New() *Budget { return &Budget{made: time.Now()} }

// Lift ends all delays, for a process that stops: what is under way ends as soon as it can.
func (b *Budget) Lift() {
	if b != nil {
		b.lifted.Store(true)
	}
}

// reserve reserves the next slice, charges extra time besides, and returns how long it is until the
// slice begins.
func (b *Budget) reserve(extra time.Duration) (wait time.Duration) {
	now := int64(time.Since(b.made))
	for {
		next := b.next.Load()
		at := max(next+int64(extra*share), now)
		if b.next.CompareAndSwap(next, at+int64(slice*share)) {
			return time.Duration(at - now)
		}
	}
}

// Begin begins long work, which ends with ctx at the latest. Nothing has to be called at its end.
func (b *Budget) Begin(ctx context.Context) *Work {
	if b == nil {
		return nil
	}
	return &Work{budget: b, ctx: ctx, began: time.Now()}
}

// Work is long work of one goroutine. A nil Work is never delayed.
type Work struct {
	budget *Budget
	ctx    context.Context
	steps  int
	began  time.Time // of the slice
	paid   bool      // the slice has been reserved
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
	return w.look()
}

// Pause is Step for a step of many microseconds: it looks at the clock at once.
func (w *Work) Pause() (more bool) {
	if w == nil {
		return true
	}
	return w.look()
}

// look waits for the next slice if this one has been used up.
func (w *Work) look() (more bool) {
	worked := time.Since(w.began)
	if !w.paid && worked < free || w.paid && worked < slice {
		return true
	}
	extra := min(worked, most)
	if w.paid {
		extra -= slice
	}
	w.paid = true
	wait := w.budget.reserve(extra)
	if w.budget.lifted.Load() {
		wait = 0
	}
	more = w.sleep(wait)
	w.began = time.Now()
	return more
}

// sleep waits until d has passed, and reports whether ctx has not ended by then.
func (w *Work) sleep(d time.Duration) bool {
	if d <= 0 {
		runtime.Gosched() // whoever waits for a processor has waited long enough
		return w.ctx.Err() == nil
	}
	if w.ctx.Done() == nil {
		time.Sleep(d)
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return w.ctx.Err() == nil
	case <-w.ctx.Done():
		return false
	}
}
