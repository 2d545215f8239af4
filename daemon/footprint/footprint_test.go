package footprint

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

// TestKeepEnds checks that Keep ends with its context.
func TestKeepEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*every+time.Second)
		defer cancel()
		Keep(ctx)
		if ctx.Err() == nil {
			t.Error("Keep ended before its context")
		}
	})
}

// TestLoadHeadroom checks that the percentage is at least loadPercent while a configuration is
// loaded. A decision made while loading takes effect at the end.
func TestLoadHeadroom(t *testing.T) {
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
	want("decided while one is loading", loadPercent)
	again := Load()
	end()
	want("one of two has ended", loadPercent)
	again()
	want("both have ended", 12)
	end = Load()
	gc.decide(400)
	want("a burst", 400)
	gc.decide(14)
	want("its end", loadPercent)
	end()
	want("all have ended", 14)
	t.Setenv("GOGC", "50")
	defer Load()()
	want("an operator has decided", 14)
}

// TestBurstGivenBack checks that memory is returned within a minute after a burst, even if no
// collection is due.
func TestBurstGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		done := make(chan struct{})
		go func() { defer close(done); Keep(ctx) }()
		lives := make([]byte, 16*mib)
		time.Sleep(every / 2) // between two decisions
		runtime.GC()
		for range 20 * mib / len(page) {
			garbage = make([]byte, len(page))
		}
		garbage = nil
		burst, _, _ := look()
		time.Sleep(time.Minute)
		after, live, _ := look()
		if burst < live+4*mib || after > live+live/4 {
			t.Errorf("got %d bytes after a burst, and %d a minute later, of which %d live", burst, after, live)
		}
		runtime.KeepAlive(lives)
		stop()
		<-done
	})
}

// garbage keeps a test's last allocation alive.
var (
	garbage []byte
	page    [4 << 10]byte
)

// TestLoadEnds checks that the percentage of a load ends with it, also before the first decision: a
// small daemon may never make one.
func TestLoadEnds(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	gc = setting{}
	Load()()
	if got := debug.SetGCPercent(100); got != 100 {
		t.Errorf("after a load: got %d %%, want 100", got)
	}
}
