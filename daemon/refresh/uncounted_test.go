package refresh

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/fetchers"
)

// TestUncountedCallsWithinQuota kills an engine after hours in which its
// disk has refused to count its calls, and holds all the calls of it and its heir to WeChat's
// quota.
func TestUncountedCallsWithinQuota(t *testing.T) {
	const quota = 100 // "100 calls an hour for each app"
	bubble(t, func(t *testing.T) {
		up := fresh(30 * time.Second) // more looks than there is room for
		d := newDisk()
		cfg := Config{Catalog: specs(Spec{Name: app, Policy: policy.CorpTicket, Account: "app", Owner: "corp", Fetcher: up})}
		live := func(length time.Duration) (served int) {
			handle := &killable{disk: d}
			cfg.Store = handle
			r := start(t, cfg)
			for began := time.Now(); time.Since(began) < length; time.Sleep(10 * time.Second) {
				if _, err := r.get(app); err == nil {
					served++
				} else {
					mustReason(t, err, credential.Limited)
				}
			}
			handle.killed.Store(true)
			r.stop()
			return served
		}
		d.fail(errors.New("no space left"))
		if served := live(3*time.Hour - 10*time.Minute); served < 30 {
			t.Errorf("served %d times in three hours", served)
		}
		d.fail(nil)
		if served := live(50 * time.Minute); served < 30 {
			t.Errorf("served %d times in an hour", served)
		}
		if got := up.within(time.Hour); got > quota {
			t.Errorf("%d calls within an hour, want %d at most", got, quota)
		}
	})
}

func TestTokensWhileUncounted(t *testing.T) {
	ups := map[*policy.Policy]*upstream{policy.RotatingToken: fresh(2 * time.Hour), policy.Ticket: repeating(2*time.Hour, 0, true), policy.CorpTicket: repeating(2*time.Hour, 0, true)}
	for kind, up := range ups {
		t.Run(kind.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d := newDisk()
				r := start(t, Config{Store: d, Catalog: specs(Spec{Name: app, Policy: kind, Fetcher: up})})
				d.fail(errors.New("no space left"))
				for range 24 * 60 {
					r.mustGet(app)
					time.Sleep(time.Minute)
				}
				d.fail(nil)
				time.Sleep(2 * saveEvery)
				synctest.Wait()
				if keys := r.ledger.Uncounted(); len(keys) > 0 {
					t.Errorf("not on disk: what was spent of %q", keys)
				}
				next := start(t, Config{Store: d, Catalog: *r.catalog.Load()})
				if next.ledger.Get(app+"#token").Calls()+next.ledger.Get(app+"#ticket").Calls() == 0 {
					t.Error("the next run knows of no call")
				}
			})
		})
	}
}

func TestForcedRefreshUncounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := &upstream{answer: func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
			if ask.Force {
				t.Error("a forced call that is not counted")
			}
			return token("tok", time.Hour), nil
		}}
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up})})
		r.mustGet(app)
		d.fail(errors.New("no space left"))
		for range 3 {
			_, err := r.Refresh(t.Context(), app)
			mustReason(t, err, credential.Limited)
			if got := r.mustGet(app); got != "tok" {
				t.Errorf("got %s", got)
			}
		}
		d.fail(nil)
		up.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return token("forced", time.Hour), nil
		})
		if v, err := r.Refresh(t.Context(), app); err != nil || v.Text != "forced" {
			t.Errorf("when the disk is well again: %v, %v", v, err)
		}
	})
}
