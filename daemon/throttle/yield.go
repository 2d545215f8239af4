package throttle

import "runtime"

// Yield lets other goroutines and other threads have the processor, if they wait for it. Without it
// the kernel lets a thread go on for some milliseconds, however short a time the other would take.
// Work does so by itself; what is not bounded otherwise calls it every now and then.
func Yield() {
	runtime.Gosched()
	yieldThread()
}
