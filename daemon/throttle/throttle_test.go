package throttle

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// step is the length of a test's step. In virtual time a step uses no processor, so only the budget
// limits how many run at once.
const step = time.Microsecond

// work does n steps and returns the time.
func work(b *Budget, n int) time.Duration {
	began := time.Now()
	w := b.Begin(context.Background())
	defer w.End()
	for ; n > 0; n-- {
		time.Sleep(step)
		w.Step()
	}
	return time.Since(began)
}

// TestShare checks that all work together uses half of a processor, in equal parts.
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
					t.Errorf("%d at once: got %v, want %v", at, d, want)
				}
			}
		})
	}
}

// TestOneSlice checks that one slice runs at a time, after the free time of each work.
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
				defer w.End()
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
			if moment > 2*free && n > 1 {
				t.Fatalf("%d at once after %v", n, moment)
			}
		}
	})
}

// TestShortAtOnce checks that long work does not delay short work.
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

// TestIdleNotSaved checks that idle time does not allow more work later.
func TestIdleNotSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		time.Sleep(time.Hour)
		if took := work(b, 20_000); took < 36*time.Millisecond {
			t.Errorf("20 ms of work took %v", took)
		}
	})
}

// slow does work that calls before and then blocks for 1 s halfway.
func slow(b *Budget, before func(*Work)) {
	w := b.Begin(context.Background())
	defer w.End()
	for i := range 2000 {
		if i == 1000 {
			before(w)
			time.Sleep(time.Second)
		}
		time.Sleep(step)
		w.Step()
	}
}

// TestWait checks that work that blocks delays other work by at most one lost slice, and not at all
// after Rest.
func TestWait(t *testing.T) {
	for _, test := range []struct {
		name   string
		before func(*Work)
		most   time.Duration
	}{{"lost", func(*Work) {}, 2 * most}, {"resting", (*Work).Rest, 0}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New()
				var other sync.WaitGroup
				other.Go(func() { slow(b, test.before) })
				time.Sleep(100 * time.Millisecond)
				took, alone := work(b, 20_000), work(New(), 20_000)
				if took > alone+test.most+share*slice {
					t.Errorf("took %v, without it %v", took, alone)
				}
				other.Wait()
			})
		})
	}
}

// TestEnd checks that work stops waiting when its context ends or the budget is lifted, and that
// the work behind it continues.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		b.next = time.Now().Add(time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		w := b.Begin(ctx)
		time.Sleep(free)
		var behind sync.WaitGroup
		behind.Go(func() {
			time.Sleep(time.Millisecond)
			work(b, 1000)
			if took := time.Since(began); took < 2*time.Second || took > 2*time.Second+2*slice {
				t.Errorf("lifted: ended after %v", took)
			}
		})
		if w.Pause() || time.Since(began) != time.Second {
			t.Errorf("continued after %v", time.Since(began))
		}
		time.Sleep(time.Second)
		b.Lift()
		behind.Wait()
	})
}

// TestUrgentFirst checks that urgent work does not wait for the other work in the queue.
func TestUrgentFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		var others sync.WaitGroup
		for range 100 {
			others.Go(func() { work(b, 2000) })
		}
		time.Sleep(50 * time.Millisecond)
		const steps = 20_000
		began := time.Now()
		w := b.BeginUrgent(t.Context())
		for range steps {
			time.Sleep(step)
			w.Step()
		}
		w.End()
		if took := time.Since(began); took > share*steps*step+10*slice {
			t.Errorf("%v of work took %v", steps*step, took)
		}
		others.Wait()
	})
}

// TestShortShares checks that short work together gets half of all slices beside long work, and
// that long work continues.
func TestShortShares(t *testing.T) {
	for _, at := range []int{1, 10} {
		synctest.Test(t, func(t *testing.T) {
			b := New()
			var long, all sync.WaitGroup
			began := time.Now()
			for range 100 {
				long.Go(func() { work(b, 2000) })
			}
			time.Sleep(50 * time.Millisecond)
			const steps = 20_000
			for range at {
				all.Go(func() {
					began := time.Now()
					w := b.BeginShort(t.Context())
					defer w.End()
					for range steps {
						time.Sleep(step)
						w.Step()
					}
					if took := time.Since(began); took > time.Duration(2*at*share*steps)*step+20*slice {
						t.Errorf("one of %d took %v", at, took)
					}
				})
			}
			all.Wait()
			long.Wait()
			if most := share*time.Duration(100*2000+at*steps)*step + 200*slice; time.Since(began) > most {
				t.Errorf("all took %v, want at most %v", time.Since(began), most)
			}
		})
	}
}

// TestNil checks that a nil budget delays nothing.
func TestNil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *Budget
		b.Lift()
		if took := work(b, 10_000); took != 10_000*step || !b.Begin(t.Context()).Pause() || !b.BeginUrgent(t.Context()).Pause() {
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
