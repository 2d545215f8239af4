package throttle

import "syscall"

// yield lets another thread have the processor, if one waits for it. Without it the kernel lets
// this one go on for some milliseconds, however short a time the other would take.
func yield() { _, _, _ = syscall.Syscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }
