package refresh

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestAwaitedEntersFirst holds that in a limiter that WeChat has narrowed to one call at a time,
// calls that a reader waits for enter before those of the schedule, and a canceled wait frees its
// place.
func TestAwaitedEntersFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLimiter(1)
		if _, err := l.enter(t.Context(), patient); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var order []string // by whoever is in
		wait := func(name string, r rank) (giveUp func()) {
			ctx, cancel := context.WithCancel(t.Context())
			all.Go(func() {
				defer cancel()
				round, err := l.enter(ctx, r)
				if err != nil {
					return
				}
				order = append(order, name)
				time.Sleep(time.Second)
				l.leave(0, round, false)
			})
			synctest.Wait()
			return cancel
		}
		wait("schedule 1", patient)
		wait("schedule 2", patient)
		giveUp := wait("reader 1", awaited)
		wait("reader 2", awaited)
		giveUp()
		synctest.Wait()
		l.leave(0, 0, false)
		all.Wait()
		if want := []string{"reader 2", "schedule 1", "schedule 2"}; !slices.Equal(order, want) {
			t.Errorf("got %q, want %q", order, want)
		}
		if l.busy != 0 {
			t.Errorf("%d are in", l.busy)
		}
	})
}
