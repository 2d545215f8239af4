package footprint

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPercentFor(t *testing.T) {
	const mib = 1 << 20
	for _, tc := range []struct {
		live uint64
		want int
	}{
		{0, 100},
		{4 * mib, 100},
		{8 * mib, 100},
		{16 * mib, 50},
		{80 * mib, 10},
		{800 * mib, 78},
		{1 << 30, 100},
		{64 << 30, 100},
	} {
		if got := percentFor(tc.live); got != tc.want {
			t.Errorf("%d MiB: got %d %%, want %d", tc.live/mib, got, tc.want)
		}
	}
}

// TestLoading holds that the collector knows of the room, and that no memory is taken for it.
func TestLoading(t *testing.T) {
	before := residentBytes(t)
	runtime.GC()
	small := live()
	loaded := Loading()
	runtime.GC()
	if large := live(); large < small+loadingRoom {
		t.Errorf("live %d before and %d after", small, large)
	}
	if grown := residentBytes(t) - before; grown > loadingRoom/2 {
		t.Errorf("it has taken %d bytes", grown)
	}
	loaded()
	runtime.GC()
	if again := live(); again >= small+loadingRoom {
		t.Errorf("live %d before and %d when it is over", small, again)
	}
}

// residentBytes returns what the process has of the memory; zero where the system does not say.
func residentBytes(t *testing.T) int {
	b, err := os.ReadFile("/proc/self/statm")
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

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
