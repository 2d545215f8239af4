package main

import (
	"runtime"
	"testing"
)

// TestProcs holds that the daemon has enough threads for its event loop on any number of
// processors, and at least two if an operator has set the number.
func TestProcs(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, test := range []struct {
		before int
		set    bool
		want   int
	}{{1, false, 4}, {2, false, 4}, {8, false, 8}, {1, true, 2}, {3, true, 3}} {
		runtime.GOMAXPROCS(test.before)
		setProcs(test.set)
		if got := runtime.GOMAXPROCS(0); got != test.want {
			t.Errorf("%d, set %v: got %d, want %d", test.before, test.set, got, test.want)
		}
	}
}
