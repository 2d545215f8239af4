package refresh

import (
	"context"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/fetchers"
)

func TestMistakeRetriedRarely(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(40125, fetchers.Misconfigured)
		}}
		d := newDisk()
		spec := Spec{Name: app, Policy: policy.StableToken, Fetcher: up, Settings: "secret-1"}
		r := start(t, Config{Store: d, Catalog: specs(spec)})
		for range 100 {
			_, err := r.get(app)
			e := mustReason(t, err, credential.Refused)
			if want := up.count(); want != 1 {
				t.Fatalf("calls: got %d, want 1", want)
			}
			if e.RetryAfter <= 0 || e.RetryAfter > 5*time.Minute {
				t.Fatalf("retry after: got %v", e.RetryAfter)
			}
		}
		r.mustState(app, credential.Held)
		for range 100 { // a crash loop
			r.stop()
			time.Sleep(time.Second)
			r = start(t, Config{Store: d, Catalog: specs(spec)})
			_, err := r.get(app)
			mustReason(t, err, credential.Refused)
		}
		if n := up.count(); n != 1 {
			t.Errorf("calls after 100 restarts: got %d, want 1", n)
		}
		time.Sleep(24 * time.Hour)
		if n := up.count(); n > 30 {
			t.Errorf("calls in a day: got %d, want one an hour", n)
		}
		before := up.count()
		up.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return token("ok", time.Hour), nil })
		spec.Settings = "secret-2"
		r.SetCatalog(specs(spec))
		if got := r.mustGet(app); got != "ok" {
			t.Errorf("got %s", got)
		}
		if n := up.count() - before; n != 1 {
			t.Errorf("calls after the fix: got %d, want 1", n)
		}
		if d.has(record.Holds, app) {
			t.Error("the hold is still on disk")
		}
	})
}

func TestRefreshEndsHold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := &upstream{answer: func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
			if n == 1 {
				return fetchers.Token{}, refusal(40164, fetchers.AddressRefused)
			}
			return token("ok", time.Hour), nil
		}}
		r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.CorpToken, Fetcher: up})})
		_, err := r.get(app)
		mustReason(t, err, credential.Refused)
		v, err := r.Refresh(t.Context(), app)
		if err != nil || v.Text != "ok" {
			t.Fatalf("got %q, %v", string(v.Text), err)
		}
		r.mustState(app, credential.Fresh)
	})
}

func TestBusyIsRetriedBriefly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := &upstream{answer: func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
			if n < 3 {
				return fetchers.Token{}, refusal(-1, fetchers.Retry)
			}
			return token("ok", time.Hour), nil
		}}
		r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.CorpToken, Fetcher: up})})
		if got := r.mustGet(app); got != "ok" {
			t.Errorf("got %s", got)
		}
		if n := up.count(); n != 3 {
			t.Errorf("calls: got %d, want 3", n)
		}
		up.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(-1, fetchers.Retry)
		})
		_, err := r.Reject(t.Context(), app, "ok")
		mustReason(t, err, credential.Refused)
		if n := up.count(); n != 6 {
			t.Errorf("calls: got %d, want 6: three tries, then a pause", n)
		}
	})
}

// TestOwnLimitNamed: "too soon" and "too many" call for different things.
func TestOwnLimitNamed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: fresh(2 * time.Hour)})})
		for n := range 21 {
			_, err := r.Refresh(t.Context(), app)
			want := "no call made: forced refreshes of a stable_token are 30 s apart"
			if n == 20 {
				want = "no call made: tokend allows 20 forced refreshes of a stable_token within 24 h"
			} else if err == nil {
				_, err = r.Refresh(t.Context(), app)
			}
			if e := mustReason(t, err, credential.Limited); e.Message != want {
				t.Fatalf("refresh %d: got %q, want %q", n+1, e.Message, want)
			}
			time.Sleep(30 * time.Second)
		}
	})
}

// TestFailedRefreshKeepsHold: the parent could not be had, so nothing was
// asked and nothing learned.
func TestFailedRefreshKeepsHold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		parent := fresh(time.Minute)
		up := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(40013, fetchers.Misconfigured)
		}}
		r := start(t, Config{Catalog: specs(
			Spec{Name: app, Policy: policy.StableToken, Fetcher: parent}, Spec{Name: tick, Policy: policy.Ticket, Parent: app, Fetcher: up})})
		for range 5 { // so that the hold is one of an hour
			_, err := r.Refresh(t.Context(), tick)
			mustReason(t, err, credential.Refused)
		}
		parent.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return fetchers.Token{}, away() })
		time.Sleep(2 * time.Minute) // the parent's value ends
		_, err := r.Refresh(t.Context(), tick)
		mustReason(t, err, credential.Unreachable)
		_, err = r.get(tick)
		if e := mustReason(t, err, credential.Refused); e.RetryAfter < 50*time.Minute {
			t.Errorf("retry after: got %v, want what is left of an hour", e.RetryAfter)
		}
		parent.answers(fresh(time.Hour).answer)
		time.Sleep(30 * time.Minute)
		if n := up.count(); n != 5 {
			t.Errorf("calls: got %d, want the operator's 5", n)
		}
	})
}

// TestFailurePauses holds the pause after each kind of failure to its first and its longest.
func TestFailurePauses(t *testing.T) {
	sent := &fetchers.TransportError{Endpoint: "/", Sent: true, Err: context.DeadlineExceeded}
	const long = 40 * time.Second // 30 s and the spread's part
	for _, tc := range []struct {
		name     string
		err      error
		failures int
		careful  bool
		want     time.Duration
	}{
		{"first fault", away(), 1, false, time.Second},
		{"third fault", away(), 3, false, 4 * time.Second},
		{"fourth fault", away(), 4, false, long},
		{"unsent, of a rotating value", away(), 1, true, time.Second},
		{"answer lost, of a rotating value", sent, 1, true, long},
		{"answer lost", sent, 1, false, time.Second},
		{"answer too late, of a rotating value", &lateError{time.Second}, 1, true, time.Second},
		{"quota", refusal(45009, fetchers.QuotaDay), 1, false, time.Minute},
		{"third refusal by a quota", refusal(45011, fetchers.QuotaMinute), 3, false, 4 * time.Minute},
		{"many refusals by a quota", refusal(45009, fetchers.QuotaDay), 30, false, time.Hour},
		{"address", refusal(40164, fetchers.AddressRefused), 9, false, 5 * time.Minute},
		{"mistake", refusal(40125, fetchers.Misconfigured), 1, false, 5 * time.Minute},
		{"repeated mistake", refusal(40125, fetchers.Misconfigured), 30, false, time.Hour},
		{"pause of WeChat's", &fetchers.APIError{Code: 89506, Reaction: fetchers.AddressRefused, Pause: day}, 1, false, day},
	} {
		h := failed(tc.err, tc.failures, 0, tc.careful, 2./3, 100)
		if got := h.until.Sub(100); got.Round(time.Millisecond) != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestNoteOfCallDeleted holds that the note of a call that is being made is deleted when the call
// has succeeded, although the hold before it was ended while the note waited to be written.
func TestNoteOfCallDeleted(t *testing.T) {
	name := customer("wxa", "access_token")
	for what, ends := range map[string]func(r *rig, c catalog){
		"by a grant": func(r *rig, _ catalog) { r.mustPut(customer("wxa", "refresh_token"), "another") },
		"by a reload": func(r *rig, c catalog) {
			s := c[name]
			s.Settings = "another"
			c = maps.Clone(c)
			c[name] = s
			r.SetCatalog(c)
		},
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, d := newPlatform("wxa"), newDisk()
				p.token.answers(func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
					if n == 1 {
						return fetchers.Token{}, away()
					}
					return token("tok", 2*time.Hour), nil
				})
				c := p.catalog()
				r := start(t, Config{Store: d, Catalog: c})
				r.mustPush("ticket", time.Now())
				r.mustPut(customer("wxa", "refresh_token"), "refresh")
				_, err := r.get(name)
				of := mustReason(t, err, credential.Unreachable)
				end, _ := r.locks.lock(t.Context(), name)
				go ends(r, c)
				synctest.Wait()
				time.Sleep(of.RetryAfter + time.Second)
				go func() { _, _ = r.get(name) }()
				synctest.Wait()
				end()
				time.Sleep(time.Second)
				r.mustState(name, credential.Fresh)
				if d.has(record.Holds, name) {
					t.Error("the note is still on disk")
				}
			})
		})
	}
}
