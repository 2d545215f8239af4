package throttle

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// step is how long a step of a test takes. In virtual time it takes no processor, so that nothing
// but the budget bounds how many go on at once.
const step = time.Microsecond

// work does n steps, and returns how long that took.
func work(b *Budget, n int) time.Duration {
	began := time.Now()
	for w := b.Begin(context.Background()); n > 0; n-- {
		time.Sleep(step)
		w.Step()
	}
	return time.Since(began)
}

// TestShare holds that all work together takes half of a processor, however much there is at once,
// and that all have an equal part of it.
func TestShare(t *testing.T) {
	for _, at := range []int{1, 2, 20} {
		synctest.Test(t, func(t *testing.T) {
			b := New()
			const each = 20 * time.Millisecond
			took := make([]time.Duration, at)
			var all sync.WaitGroup
			for i := range took {
				all.Go(func() { took[i] = work(b, int(each/step)) })
			}
			all.Wait()
			want := time.Duration(at) * each * share
			for _, d := range took {
				if d < want-want/10-3*slice || d > want+want/5 {
					t.Errorf("%d at once: one took %v of %v", at, d, want)
				}
			}
		})
	}
}

// TestOneSlice holds that after the beginnings at most one slice goes on at a time.
func TestOneSlice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		began := time.Now()
		var mu sync.Mutex
		at := map[time.Duration]int{} // works by moment
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				w := b.Begin(t.Context())
				for range 5000 {
					time.Sleep(step)
					mu.Lock()
					at[time.Since(began)]++
					mu.Unlock()
					w.Step()
				}
			})
		}
		all.Wait()
		for moment, n := range at {
			if moment > 2*free && n > 2 { // two where one goes up to stepsPerLook beyond its end
				t.Fatalf("%d at once after %v", n, moment)
			}
		}
	})
}

// TestShortAtOnce holds that short work is not delayed by long work.
func TestShortAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		var long sync.WaitGroup
		for range 20 {
			long.Go(func() { work(b, 20_000) })
		}
		time.Sleep(100 * time.Millisecond)
		if took := work(b, 200); took != 200*step {
			t.Errorf("%v", took)
		}
		long.Wait()
	})
}

// TestIdleNotSaved holds that time in which there was no work is not made up for by more of it.
func TestIdleNotSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		time.Sleep(time.Hour)
		if took := work(b, 20_000); took < 36*time.Millisecond {
			t.Errorf("20 ms of work took %v", took)
		}
	})
}

// TestWaitNotCharged holds that work which waits for its reader is charged for little of that.
func TestWaitNotCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		w := b.Begin(t.Context())
		time.Sleep(time.Second)
		w.Pause()
		if wait := b.reserve(0); wait > share*(most+slice) {
			t.Errorf("the next waits %v", wait)
		}
	})
}

// TestEnd holds that work whose context ends, or whose budget is lifted, waits no longer.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		ctx, cancel := context.WithCancel(t.Context())
		w := b.Begin(ctx)
		b.next.Store(int64(time.Hour))
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		time.Sleep(free)
		if w.Pause() || time.Since(began) != time.Second {
			t.Errorf("went on after %v", time.Since(began))
		}
		b.Lift()
		if took := work(b, 10_000); took != 10_000*step {
			t.Errorf("lifted: %v", took)
		}
	})
}

// TestNil holds that nothing is delayed without a budget.
func TestNil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *Budget
		b.Lift()
		if took := work(b, 10_000); took != 10_000*step || !b.Begin(t.Context()).Pause() {
			t.Errorf("%v", took)
		}
	})
}

func BenchmarkStep(b *testing.B) {
	budget := New()
	budget.Lift()
	w := budget.Begin(b.Context())
	b.ReportAllocs()
	for b.Loop() {
		w.Step()
	}
}
