package refresh

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
)

// manyAccounts returns a WeChat with 400 accounts, each an owner, whose values have left; 0 for
// none. The calls of every eighth hang.
func manyAccounts(t *testing.T, left time.Duration) (w *site, hanging, others []string) {
	t.Helper()
	w = newSite()
	for i := range 400 {
		name := fmt.Sprintf("official_account/wx%d/access_token", i)
		w.has(t, Spec{Name: name, Policy: policy.StableToken}, left)
		if i%8 == 0 {
			w.answer(credential.OwnerOf(name), forever)
			hanging = append(hanging, name)
		} else {
			others = append(others, name)
		}
	}
	return w, hanging, others
}

// fresh returns how many of names have a value of most of its life.
func (w *site) fresh(names []string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range names {
		if time.Until(w.ends[name]) > time.Hour {
			n++
		}
	}
	return n
}

// TestScheduleBesideHangingAccounts holds that accounts whose calls hang, each an owner, delay the
// refreshes of the others only until their first calls are given up.
func TestScheduleBesideHangingAccounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, _, others := manyAccounts(t, 4*time.Minute)
		w.start(t)
		began := time.Now()
		for w.fresh(others) < len(others) && time.Since(began) < 10*time.Minute {
			time.Sleep(time.Second)
		}
		took := time.Since(began)
		t.Logf("%d others were refreshed in %v", len(others), took)
		if took > 45*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// TestColdReaderBesideHangingAccounts holds that accounts whose calls have hung, each an owner, do
// not delay the calls for others that readers wait for, however many readers they have.
func TestColdReaderBesideHangingAccounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, hanging, others := manyAccounts(t, 0)
		r := w.start(t)
		ctx, cancel := context.WithCancel(t.Context())
		var readers sync.WaitGroup
		defer readers.Wait()
		defer cancel()
		for _, name := range hanging {
			readers.Go(func() {
				for ctx.Err() == nil {
					_, _ = r.Get(ctx, name)
					time.Sleep(time.Second)
				}
			})
		}
		var first, later time.Duration
		for i, name := range others[:100] {
			time.Sleep(3 * time.Second)
			synctest.Wait()
			took := slowest(t, func(ctx context.Context) error { _, err := r.Get(ctx, name); return err })
			if i < 20 {
				first = max(first, took)
			} else {
				later = max(later, took)
			}
		}
		t.Logf("waited %v in the first minute, %v later", first, later)
		if first > 31*time.Second || later > time.Second {
			t.Error("readers wait for accounts whose calls hang")
		}
	})
}

// TestPaceBesideFailingPlatform holds that a platform whose calls all fail at once does not slow
// the refreshes of another one's customers.
func TestPaceBesideFailingPlatform(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n, left = 3000, 40 * time.Second
		w := newSite()
		failing := w.platform(t, "open_platform/wxa", n, left, left)
		other := w.platform(t, "open_platform/wxb", n, left, left)
		w.fail("open_platform/wxa")
		w.answer("open_platform/wxb", 10*time.Millisecond)
		w.start(t)
		began := time.Now()
		for w.fresh(other) < len(other) && time.Since(began) < 10*time.Minute {
			time.Sleep(time.Second)
		}
		t.Logf("%d were refreshed in %v, %d late, beside %d that fail", len(other), time.Since(began), w.late(other), len(failing))
		if late := w.late(other); late > 0 {
			t.Errorf("%d of %d expired", late, len(other))
		}
	})
}

// TestCrowdedOwnerAlone holds that an owner that WeCom answers that it has too many calls at once
// makes fewer, and that others do not.
func TestCrowdedOwnerAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLimiter(32, 2, halves)
		for i, want := range []int{16, 8, 4} {
			if got := hangs(t, l, "crowded"); got != want {
				t.Errorf("the owner has %d places after %d such answers, want %d", got, i, want)
			}
			for round := l.round; l.places.of["crowded"] > 0; {
				l.leave(0, "crowded", round, true)
			}
		}
		if got := hangs(t, l, "other"); got != 16 {
			t.Errorf("another owner has %d places, want 16", got)
		}
	})
}
