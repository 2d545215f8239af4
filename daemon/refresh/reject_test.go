package refresh

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"tokend/fetchers"
	"tokend/fetchers/secret"
)

func TestARejectedValueIsReplacedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(2 * time.Hour)
		r := start(t, Config{Catalog: specs(Spec{Name: app, Kind: RotatingToken, Fetcher: up})})
		r.mustGet(app)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				v, err := r.Reject(t.Context(), app, "tok-1")
				if err != nil || v.Text != "tok-2" {
					t.Errorf("got %q, %v; want tok-2", string(v.Text), err)
				}
			})
		}
		wg.Wait()
		if v, err := r.Reject(t.Context(), app, "tok-1"); err != nil || v.Text != "tok-2" {
			t.Errorf("an older value: got %q, %v; want tok-2", string(v.Text), err)
		}
		if n := up.count(); n != 2 {
			t.Errorf("calls: got %d, want 2", n)
		}
	})
}

func TestAValueRepeatedToARejectionIsNotAskedForAgainForAMinute(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := repeating(2*time.Hour, 0, false)
		r := start(t, Config{Catalog: specs(Spec{Name: app, Kind: CorpToken, Fetcher: up})})
		r.mustGet(app)
		for range 30 {
			v, err := r.Reject(t.Context(), app, "tok-1")
			if err != nil || v.Text != "tok-1" {
				t.Fatalf("got %q, %v; want tok-1", string(v.Text), err)
			}
			time.Sleep(time.Second)
		}
		if n := up.count(); n != 2 {
			t.Errorf("calls: got %d, want 2", n)
		}
		time.Sleep(31 * time.Second)
		if _, err := r.Reject(t.Context(), app, "tok-1"); err != nil {
			t.Fatal(err)
		}
		if n := up.count(); n != 3 {
			t.Errorf("calls after a minute: got %d, want 3", n)
		}
	})
}

func TestAFailedReplacementIsAnErrorAndLeavesTheValue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(2 * time.Hour)
		r := start(t, Config{Catalog: specs(Spec{Name: app, Kind: StableToken, Fetcher: up})})
		r.mustGet(app)
		up.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return fetchers.Token{}, away() })
		for range 100 {
			_, err := r.Reject(t.Context(), app, "tok-1")
			mustReason(t, err, Unreachable)
		}
		if got := r.mustGet(app); got != "tok-1" {
			t.Errorf("got %s, want tok-1", got)
		}
		r.mustState(app, Stale)
		if n := up.count(); n != 2 {
			t.Errorf("calls: got %d, want 2: the error is remembered", n)
		}
	})
}

func TestAClientThatRejectsEverythingIsStopped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(2 * time.Hour)
		r := start(t, Config{Catalog: specs(Spec{Name: app, Kind: RotatingToken, Fetcher: up})})
		v := r.mustGet(app)
		limited := 0
		for range 3600 {
			got, err := r.Reject(t.Context(), app, token(v, 0).Value)
			if err == nil {
				v = string(got.Text)
			} else {
				mustReason(t, err, Limited)
				limited++
			}
			time.Sleep(time.Second)
		}
		if n := up.count(); n > 67 {
			t.Errorf("calls in an hour of rejections: got %d, want one a minute and a few", n)
		}
		if limited == 0 {
			t.Error("no rejection was refused")
		}
	})
}

// TestARejectionNeverForces: twenty forced refreshes a day are an operator's, and a program that
// rejects all it gets would spend them in ten minutes.
func TestARejectionNeverForces(t *testing.T) {
	bubble(t, func(t *testing.T) {
		forced := 0
		up := &upstream{answer: func(_ context.Context, ask fetchers.Ask, n int) (fetchers.Token, error) {
			if ask.Force {
				forced++
				return token(fmt.Sprintf("forced-%d", forced), 2*time.Hour), nil
			}
			return token("same", 2*time.Hour), nil
		}}
		r := start(t, Config{Catalog: specs(Spec{Name: app, Kind: StableToken, Fetcher: up})})
		for range 24 * 60 {
			v := r.mustGet(app)
			if got, err := r.Reject(t.Context(), app, secret.Text(v)); err == nil && string(got.Text) != v {
				t.Fatalf("got %s in place of %s", string(got.Text), v)
			}
			time.Sleep(time.Minute)
		}
		if forced != 0 {
			t.Errorf("%d forced refreshes", forced)
		}
		for i := range 20 { // all twenty are still there
			if _, err := r.Refresh(t.Context(), app); err != nil {
				t.Fatalf("forced refresh %d: %v", i+1, err)
			}
			time.Sleep(30 * time.Second)
		}
		_, err := r.Refresh(t.Context(), app)
		mustReason(t, err, Limited)
	})
}
