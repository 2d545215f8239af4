//go:build unix

package refresh

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"tokend/daemon/throttle"
)

// TestListsShare holds that lists at the same time take half of a processor together, not each. The
// garbage collector may take as much besides. Where the test has less than two processors to
// itself, it can show less, and never too much.
func TestListsShare(t *testing.T) {
	e := newCrowd(t, 20_000, throttle.New())
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	began, before := time.Now(), used()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { listAll(t, e) })
	}
	all.Wait()
	if took, work := time.Since(began), used()-before; work > took*5/4 {
		t.Errorf("%v of work in %v", work, took)
	}
}
