package refresh

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/fetchers"
)

// quotaOn answers 45009 while it is set, and a value otherwise.
func quotaOn(on *atomic.Bool) *upstream {
	return &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
		if on.Load() {
			return fetchers.Token{}, refusal(45009, fetchers.QuotaDay)
		}
		return token("tok", 2*time.Hour), nil
	}}
}

// TestQuotaPause: 45009 pauses a minute, then twice as long each time, an hour at most, for kinds
// with a budget of the day and without. A success resets the pause, a restart does not.
func TestQuotaPause(t *testing.T) {
	for _, kind := range []*policy.Policy{policy.StableToken, policy.RotatingToken, policy.Ticket, policy.CorpToken} {
		t.Run(kind.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var on atomic.Bool
				on.Store(true)
				cfg := Config{Store: newDisk(), Catalog: specs(Spec{Name: app, Policy: kind, Fetcher: quotaOn(&on)})}
				r := start(t, cfg)
				var got []time.Duration
				for n := range 8 {
					_, err := r.get(app)
					wait := mustReason(t, err, credential.Limited).RetryAfter
					got = append(got, wait)
					if n == 3 {
						r.stop()
						r = start(t, cfg)
					}
					time.Sleep(wait)
				}
				const m = time.Minute
				if want := []time.Duration{m, 2 * m, 4 * m, 8 * m, 16 * m, 32 * m, 60 * m, 60 * m}; !slices.Equal(got, want) {
					t.Errorf("pauses: got %v, want %v", got, want)
				}
				on.Store(false)
				time.Sleep(time.Hour)
				r.mustGet(app)
				on.Store(true)
				_, err := r.Reject(t.Context(), app, "tok")
				if e := mustReason(t, err, credential.Limited); e.RetryAfter != m {
					t.Errorf("after a success: got a pause of %v, want a minute", e.RetryAfter)
				}
			})
		})
	}
}

// TestQuotaAfterOutage: failures of another sort do not count.
func TestQuotaAfterOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, away()
		}}
		r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up})})
		_, err := r.get(app)
		mustReason(t, err, credential.Unreachable)
		time.Sleep(time.Hour)
		var on atomic.Bool
		on.Store(true)
		up.answers(quotaOn(&on).answer)
		time.Sleep(time.Minute)
		_, err = r.get(app)
		if e := mustReason(t, err, credential.Limited); e.RetryAfter > time.Minute {
			t.Errorf("got a pause of %v, want a minute at most", e.RetryAfter)
		}
	})
}

// TestListQuotaAfterOutage: those of a customer list do not either.
func TestListQuotaAfterOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		failure := away()
		p.list = func(int, int) (fetchers.AuthorizerPage, error) { return fetchers.AuthorizerPage{}, failure }
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		for range 10 {
			_, err := r.Import(t.Context(), platform, 0)
			mustReason(t, err, credential.Unreachable)
			time.Sleep(time.Minute)
		}
		failure = refusal(45009, fetchers.QuotaDay)
		for _, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
			_, err := r.Import(t.Context(), platform, 0)
			if e := mustReason(t, err, credential.Limited); e.RetryAfter != want {
				t.Errorf("got a pause of %v, want %v", e.RetryAfter, want)
			}
			time.Sleep(want)
		}
	})
}

// TestDayQuota: 45009 ends with WeChat's day if tokend itself has nearly spent the day's quota in
// that day.
func TestDayQuota(t *testing.T) {
	const near = 1710 // of the 1900 that tokend allows itself
	for _, tc := range []struct {
		name  string
		kind  *policy.Policy
		calls int
		code  int
		begin time.Duration // of the calls; a bubble begins at midnight UTC, 08:00 in Shanghai
		wait  time.Duration // from then on
		pause time.Duration
	}{
		{"nearly spent", policy.RotatingToken, near, 45009, 0, 0, 16 * time.Hour},
		{"not nearly", policy.RotatingToken, near - 1, 45009, 0, 0, time.Minute},
		{"yesterday", policy.RotatingToken, near, 45009, 15 * time.Hour, 90 * time.Minute, time.Minute},
		{"just after midnight", policy.RotatingToken, near, 45009, 16 * time.Hour, 0, 24 * time.Hour},
		{"just before midnight", policy.RotatingToken, near, 45009, 16*time.Hour - 100*time.Millisecond, 0, time.Minute},
		{"in the hour of midnight", policy.RotatingToken, near, 45009, 15*time.Hour + 30*time.Minute, 45 * time.Minute, time.Minute},
		{"a minute's quota", policy.RotatingToken, near, 45011, 0, 0, time.Minute},
		{"no quota of the day", policy.CorpToken, near, 45009, 0, 0, time.Minute},
		{"a quota of the hour", policy.Ticket, 72, 45009, 0, 0, time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var on atomic.Bool
				up := quotaOn(&on)
				if answer := up.answer; tc.code != 45009 {
					up.answers(func(ctx context.Context, ask fetchers.Ask, n int) (fetchers.Token, error) {
						if on.Load() {
							return fetchers.Token{}, refusal(tc.code, fetchers.QuotaMinute)
						}
						return answer(ctx, ask, n)
					})
				}
				r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: tc.kind, Fetcher: up})})
				time.Sleep(tc.begin)
				for range tc.calls - 1 { // and the refused call
					if _, err := r.Refresh(t.Context(), app); err != nil {
						t.Fatal(err)
					}
				}
				if tc.wait > 0 {
					time.Sleep(tc.wait)
					if _, err := r.Refresh(t.Context(), app); err != nil {
						t.Fatal(err)
					}
				}
				on.Store(true)
				_, err := r.Reject(t.Context(), app, "tok")
				e := mustReason(t, err, credential.Limited)
				if e.RetryAfter < tc.pause || e.RetryAfter > tc.pause+time.Minute {
					t.Fatalf("got a pause of %v, want %v", e.RetryAfter, tc.pause)
				}
				calls := up.count()
				time.Sleep(e.RetryAfter - time.Second)
				if n := up.count() - calls; n > 0 {
					t.Errorf("calls in the pause: %d", n)
				}
			})
		})
	}
}

// TestForcedRefreshQuota: what WeChat says of a forced refresh stops no ordinary ones for the day.
func TestForcedRefreshQuota(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var on atomic.Bool
		r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: quotaOn(&on)})})
		for n := range 20 {
			on.Store(n == 19)
			_, err := r.Refresh(t.Context(), app)
			if on.Load() {
				if e := mustReason(t, err, credential.Limited); e.RetryAfter > time.Minute {
					t.Errorf("got a pause of %v, want a minute", e.RetryAfter)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			time.Sleep(31 * time.Second)
		}
	})
}
