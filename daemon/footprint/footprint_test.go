package footprint

import (
	"context"
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
