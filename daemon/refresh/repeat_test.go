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
	"tokend/fetchers/secret"
)

// lost is the error of a call that may be repeated n times in all.
func lost(n int) error {
	return &fetchers.TransportError{Endpoint: "/x", Repeat: n, Err: context.DeadlineExceeded}
}

// TestLostCallRepeated holds that a call that failed with its connection or host is repeated at
// once, as often as its error allows, and that the failure leaves no backoff if a repetition
// succeeds.
func TestLostCallRepeated(t *testing.T) {
	for _, test := range []struct {
		name            string
		allowed, fails  int
		calls, failures int
	}{
		{"not allowed", 0, 1, 1, 1},
		{"once", 1, 1, 2, 0},
		{"once, in vain", 1, 9, 2, 1},
		{"four hosts", 4, 4, 5, 0},
		{"four hosts, in vain", 4, 9, 5, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				up := &upstream{answer: func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
					if n <= test.fails {
						return fetchers.Token{}, lost(test.allowed)
					}
					return token("tok", time.Hour), nil
				}}
				r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up})})
				began := time.Now()
				_, err := r.get(app)
				if (err == nil) != (test.failures == 0) || up.count() != test.calls || time.Since(began) != 0 {
					t.Errorf("%d calls within %v, %v; want %d at once", up.count(), time.Since(began), err, test.calls)
				}
				if s, err := r.Status(app); err != nil || s.Failures != test.failures {
					t.Errorf("%d failures, %v; want %d", s.Failures, err, test.failures)
				}
			})
		})
	}
}

// TestRepeatedCallIsCharged holds that every attempt counts against the budget, and that none is
// made beyond it.
func TestRepeatedCallIsCharged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return fetchers.Token{}, lost(1) }}
		r := start(t, Config{Catalog: specs(
			Spec{Name: app, Policy: policy.StableToken, Fetcher: fresh(2 * time.Hour)},
			Spec{Name: tick, Policy: policy.Ticket, Parent: app, Fetcher: up})})
		for range 39 {
			_, _ = r.Refresh(t.Context(), tick)
		}
		up.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return fetchers.Token{}, lost(9) })
		// The last one finds no room for its repetitions, and says what became of its call.
		for _, want := range []credential.Reason{credential.Unreachable, credential.Limited} {
			_, err := r.Refresh(t.Context(), tick)
			mustReason(t, err, want)
		}
		if n := up.count(); n != 80 {
			t.Errorf("%d calls, want the 80 of an hour", n)
		}
	})
}

// TestAnsweredCallIsNotReportedLost holds that a call that was lost, repeated and answered is not
// what a later attempt without a budget reports.
func TestAnsweredCallIsNotReportedLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return fetchers.Token{}, lost(0) }}
		r := start(t, Config{Catalog: specs(
			Spec{Name: app, Policy: policy.StableToken, Fetcher: fresh(2 * time.Hour)},
			Spec{Name: tick, Policy: policy.Ticket, Parent: app, Fetcher: up})})
		const room = 2
		for range 80 - room {
			_, _ = r.Refresh(t.Context(), tick)
		}
		up.answers(func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
			if n == 80-room+1 {
				return fetchers.Token{}, lost(1)
			}
			return fetchers.Token{}, refusal(40001, fetchers.ParentDead)
		})
		_, err := r.Refresh(t.Context(), tick)
		mustReason(t, err, credential.Limited)
		if n := up.count(); n != 80 {
			t.Errorf("%d calls, want the 80 of an hour", n)
		}
	})
}

// TestForcedCallIsNotRepeatedTooSoon holds that a forced refresh is not repeated before its quota
// allows, and that the operator gets the result.
func TestForcedCallIsNotRepeatedTooSoon(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return fetchers.Token{}, lost(1) }}
		r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up})})
		_, err := r.Refresh(t.Context(), app)
		mustReason(t, err, credential.Unreachable)
		if n := up.count(); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	})
}

// TestRepeatedCallHasItsOwnTime holds that an attempt that used up its timeout leaves the next one
// a whole timeout.
func TestRepeatedCallHasItsOwnTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := &upstream{answer: func(ctx context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
			if n == 1 {
				<-ctx.Done()
				return fetchers.Token{}, lost(1)
			}
			if end, ok := ctx.Deadline(); !ok || time.Until(end) != 3*time.Second {
				t.Errorf("the repetition has %v, want 3s", time.Until(end))
			}
			return token("tok", time.Hour), nil
		}}
		r := start(t, Config{Timeout: 3 * time.Second, Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up})})
		r.mustGet(app)
	})
}

// TestStopEndsRepetitions holds that an attempt under way at the stop is the last one, though the
// call is not cancelled.
func TestStopEndsRepetitions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		codes := 0
		slow := func() error { time.Sleep(2 * time.Second); return lost(4) }
		p.exchange = func(context.Context, secret.Text, secret.Text) (fetchers.Authorization, error) {
			codes++
			return fetchers.Authorization{}, slow()
		}
		up := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return fetchers.Token{}, slow() }}
		c := p.catalog()
		c[app] = Spec{Name: app, Account: app, Owner: app, Policy: policy.RotatingToken, Fetcher: up}
		r := start(t, Config{Catalog: c})
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		go func() { _, _ = r.get(app) }()
		go func() { _, _ = r.Exchange(context.Background(), platform, "code-of-wxa") }()
		time.Sleep(time.Second)
		began := time.Now()
		r.stop()
		if took := time.Since(began); took != time.Second || up.count() != 1 || codes != 1 {
			t.Errorf("stopped after %v with %d fetches and %d exchanges; want 1s, 1, 1", took, up.count(), codes)
		}
		if n := r.ledger.Get(app + "#token").Slices[0].Calls; n != 1 {
			t.Errorf("%d calls were charged, want 1", n)
		}
	})
}

// TestUnsentCodeRepeated holds that a code that reached no host is sent to the next one.
func TestUnsentCodeRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		inner, calls := p.exchange, 0
		p.exchange = func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
			if calls++; calls == 1 {
				return fetchers.Authorization{}, &fetchers.TransportError{Endpoint: "/x", Repeat: 1, Err: errors.New("connection refused")}
			}
			return inner(ctx, parent, code)
		}
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		if _, err := r.Exchange(t.Context(), platform, "code-of-wxa"); err != nil || calls != 2 {
			t.Errorf("%d calls, %v; want 2", calls, err)
		}
	})
}

// TestUnsentNudgeRepeated holds that WeChat is asked to push at the next host if the first was not
// reached, and not again within the hour if it may have been asked.
func TestUnsentNudgeRepeated(t *testing.T) {
	for _, test := range []struct {
		name        string
		sent        bool
		fails, want int
	}{
		{"reached at the third host", false, 2, 3},
		{"no host reached", false, 9, 3},
		{"no answer", true, 1, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				asked := 0
				nudge := func(context.Context) error {
					if asked++; asked > test.fails {
						return nil
					}
					return &fetchers.TransportError{Endpoint: "/x", Sent: test.sent, Repeat: 2, Err: errors.New("connection lost")}
				}
				r := start(t, Config{Catalog: specs(Spec{Name: verify, Policy: policy.VerifyTicket, Nudge: nudge})})
				r.mustPush("ticket", time.Now())
				time.Sleep(31 * time.Minute)
				synctest.Wait()
				if asked != test.want {
					t.Errorf("asked %d times, want %d", asked, test.want)
				}
			})
		})
	}
}
