package refresh

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/policy"
)

// TestHistoryKeepsLatest holds that an attempt is returned as noted, to the millisecond, and
// that the oldest are forgotten with what belongs to them.
func TestHistoryKeepsLatest(t *testing.T) {
	for kind, limit := range map[*policy.Policy]int{policy.StableToken: remembered, policy.AuthorizerToken: rememberedCustomer} {
		en := &entry{name: "a"}
		en.class.Store(&configClass{policy: kind})
		if h := en.history.newestFirst(); len(h) != 0 {
			t.Errorf("got %v before anything has happened", h)
		}
		var want []credential.Attempt
		at := time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)
		for i := range 40 {
			a := credential.Attempt{At: at.Add(time.Duration(i) * time.Hour), Cause: credential.Cause(1 + i%7), Outcome: outcomes[i%len(outcomes)], Took: time.Duration(i) * time.Millisecond}
			if i%3 == 0 {
				a.ErrCode, a.RID = 40001+i, fmt.Sprint("rid-", i)
			}
			en.addAttempt(a)
			want = slices.Insert(want, 0, a)
			want = want[:min(len(want), limit)]
			if got := en.history.newestFirst(); !slices.Equal(got, want) {
				t.Fatalf("kind %v, %d attempts:\ngot  %v\nwant %v", kind, i+1, got, want)
			}
		}
	}
}

// TestRejectAllowance: five at once, then one a minute; a rejection that is too early gets the
// rest of the minute.
func TestRejectAllowance(t *testing.T) {
	var a allowance
	now := clock.Instant(time.Hour)
	for range rejectBurst {
		if wait := a.take(now); wait != 0 {
			t.Fatalf("got a wait of %v within the burst", wait)
		}
	}
	for _, later := range []time.Duration{0, 20 * time.Second, 39 * time.Second} {
		now = now.Add(later)
		if wait, want := a.take(now), clock.Instant(time.Hour+time.Minute).Sub(now); wait != want {
			t.Errorf("%v after the burst: got a wait of %v, want %v", now.Sub(clock.Instant(time.Hour)), wait, want)
		}
	}
	if now = now.Add(time.Second); a.take(now) != 0 || a.take(now) != time.Minute {
		t.Error("after a minute: not one, or more than one")
	}
}
