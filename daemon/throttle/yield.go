package throttle

import (
	"runtime"
	"runtime/metrics"
	"sync"
)

// Yield yields the processor to waiting goroutines and threads. Without it the kernel lets a thread
// run for some milliseconds, even if the waiting thread needs microseconds. Work calls Yield by
// itself. Other long loops should call it from time to time.
//
// If no goroutine waits, Yield does not call Gosched. Gosched would wake a thread that looks for
// work, and the next processor time would be that thread's: 10 us, of the 50 us between two calls.
func Yield() {
	if runnable.any() {
		runtime.Gosched()
	}
	yieldThread()
}

// runnable looks for goroutines that wait for one of Go's processors. That takes 0.1 us.
var runnable = looker{sample: []metrics.Sample{{Name: "/sched/goroutines/runnable:goroutines"}}}

type looker struct {
	mu     sync.Mutex
	sample []metrics.Sample // reused, so that a look allocates nothing
}

func (l *looker) any() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	metrics.Read(l.sample)
	v := l.sample[0].Value
	return v.Kind() != metrics.KindUint64 || v.Uint64() > 0
}
