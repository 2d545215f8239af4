package throttle

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// TestYield checks that Yield runs a goroutine that waits for the only processor, and that it
// allocates nothing.
func TestYield(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for range 100 {
		var ran atomic.Bool
		var other sync.WaitGroup
		other.Go(func() { ran.Store(true) })
		for range 10 { // goroutines of the runtime may go first
			Yield()
		}
		if !ran.Load() {
			t.Fatal("another goroutine has waited for ten yields")
		}
		other.Wait()
	}
	if n := testing.AllocsPerRun(100, Yield); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkYield reports the time of a yield after 50 us of work.
func BenchmarkYield(b *testing.B) {
	b.ReportAllocs()
	x := 1
	for b.Loop() {
		for i := range 50_000 {
			x += i * x
		}
		Yield()
	}
	runtime.KeepAlive(x)
}
