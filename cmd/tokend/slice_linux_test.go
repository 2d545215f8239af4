package main

import (
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSlices holds that all threads get short slices, and keep their niceness.
func TestSlices(t *testing.T) {
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Skip(err)
	}
	shortenSlices()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			t.Fatal(err)
		}
		got, err := unix.SchedGetAttr(tid, 0)
		if err != nil {
			continue // the thread has ended
		}
		if got.Runtime == before.Runtime && before.Runtime != slice {
			t.Skip("the kernel has no slices of a thread's own")
		}
		if got.Runtime != slice || got.Nice != before.Nice {
			t.Errorf("slice %d, niceness %d; want %d and %d", got.Runtime, got.Nice, slice, before.Nice)
		}
	}
}
