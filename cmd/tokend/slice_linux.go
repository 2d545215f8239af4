package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// slice is the daemon's scheduler slice in nanoseconds, the shortest that Linux grants. With the
// default of some milliseconds, the event loop would wait that long for each request while another
// thread walks through all credentials or collects garbage.
const slice = 100_000

// shortenSlices requests short scheduler slices for all threads and for those that they start.
// Linux grants them from 6.12 on. Older kernels and some sandboxes ignore or refuse the request,
// and reads then wait longer during long work.
func shortenSlices() {
	// Twice, for threads that start during the first pass.
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
