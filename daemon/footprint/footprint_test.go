package footprint

import (
	"context"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

// TestKeepEnds holds that it lives no longer than its context, and that it decides again and again.
func TestKeepEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*every+time.Second)
		defer cancel()
		Keep(ctx)
		if ctx.Err() == nil {
			t.Error("it ended before its context")
		}
	})
}

// TestLoadHasRoom holds that the garbage of a configuration has room while it is loaded, that a
// decision meanwhile waits for the end, and that the decided percentage is in force then.
func TestLoadHasRoom(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	inForce := func() int {
		before := debug.SetGCPercent(100)
		debug.SetGCPercent(before)
		return before
	}
	want := func(what string, percent int) {
		t.Helper()
		if got := inForce(); got != percent {
			t.Errorf("%s: got %d %%, want %d", what, got, percent)
		}
	}
	gc = setting{}
	end := Load()
	gc.decide(12)
	want("decided while one is loading", 100)
	again := Load()
	end()
	want("one of two has ended", 100)
	again()
	want("both have ended", 12)
	end = Load()
	gc.decide(300)
	want("a burst", 300)
	gc.decide(14)
	want("its end", 100)
	end()
	want("all have ended", 14)
	t.Setenv("GOGC", "50")
	defer Load()()
	want("an operator has decided", 14)
}
