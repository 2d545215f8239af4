package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// slice is how long the kernel lets a thread of the daemon run before another one, in nanoseconds.
// Its own choice is some milliseconds: for as long the event loop would wait, request after
// request, while a thread walks through all credentials or collects garbage. It is the shortest
// that Linux grants.
const slice = 100_000

// shortenSlices asks the kernel for short time slices, for all threads there are and all that they
// start. Linux grants them from 6.12 on. Others, and a sandbox, ignore it or refuse it: reads then
// wait longer during long work.
func shortenSlices() {
	// Twice, for threads that are started meanwhile.
	for range 2 {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return
		}
		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err != nil {
				continue
			}
			attr, err := unix.SchedGetAttr(tid, 0)
			if err != nil || attr.Policy != unix.SCHED_NORMAL {
				continue
			}
			attr.Runtime = slice
			_ = unix.SchedSetAttr(tid, attr, 0)
		}
	}
}
