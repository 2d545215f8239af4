package throttle

import "runtime"

// Yield yields the processor to waiting goroutines and threads. Without it the kernel lets a thread
// run for some milliseconds, even if the waiting thread needs microseconds. Work calls Yield by
// itself. Other long loops should call it from time to time.
func Yield() {
	runtime.Gosched()
	yieldThread()
}
