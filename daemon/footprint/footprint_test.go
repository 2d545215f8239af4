package footprint

import (
	"context"
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
