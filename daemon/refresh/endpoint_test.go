package refresh

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// TestQuotaOfExchanges: one hold for all codes of an owner, and none of them is given up unheard.
func TestQuotaOfExchanges(t *testing.T) {
	spent := refusal(45009, fetchers.QuotaMinute)
	t.Run("exchanges", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := newPlatform("wxa")
			var answers atomic.Bool
			calls := p.counted(func() error {
				if !answers.Load() {
					return spent
				}
				return nil
			})
			d := newDisk()
			r := start(t, Config{Store: d, Catalog: p.catalog()})
			r.mustPush("ticket", time.Now())
			for i := range 500 {
				_, err := r.Exchange(t.Context(), platform, secret.Text(fmt.Sprint("code-", i)))
				of := mustReason(t, err, credential.Limited)
				if of.RetryAfter <= 0 || of.RetryAfter > time.Minute || of.Message != spent.Error() {
					t.Fatalf("told %q, %v", of.Message, of.RetryAfter)
				}
			}
			r.stop()
			r = start(t, Config{Store: d, Catalog: p.catalog()})
			_, err := r.Exchange(t.Context(), platform, "code-of-wxa")
			mustReason(t, err, credential.Limited)
			if calls() != 1 {
				t.Errorf("calls: got %d, want 1", calls())
			}
			answers.Store(true)
			time.Sleep(2 * time.Minute)
			if _, err := r.Exchange(t.Context(), platform, "code-of-wxa"); err != nil {
				t.Error(err)
			}
			if d.has(record.Holds, platform+exchanges) {
				t.Error("the hold is still on disk")
			}
		})
	})
	t.Run("pushed codes", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := newPlatform()
			until := time.Now().Add(50 * time.Minute)
			calls := p.counted(func() error {
				time.Sleep(100 * time.Millisecond)
				if time.Now().Before(until) {
					return spent
				}
				return nil
			})
			var opened time.Time // the first answer
			p.exchange = func(inner exchangeFunc) exchangeFunc {
				return func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
					auth, err := inner(ctx, parent, code)
					if err == nil && opened.IsZero() {
						opened = time.Now()
					}
					if err == nil && time.Since(opened) > 5*time.Second {
						t.Errorf("%s after the first", time.Since(opened))
					}
					return auth, err
				}
			}(p.exchange)
			r := start(t, Config{Catalog: p.catalog()})
			r.mustPush("ticket", time.Now())
			for i := range 200 {
				child := fmt.Sprint("wx", i)
				r.mustAccept(child, "code-of-"+child, time.Hour)
			}
			time.Sleep(49 * time.Minute)
			if n := calls(); n > 3*endpointCalls {
				t.Errorf("calls in 49 minutes: got %d", n)
			}
			time.Sleep(11*time.Minute + 10*time.Second)
			for i := range 200 {
				if _, err := r.grants.live(customer(fmt.Sprint("wx", i), "refresh_token")); err != nil {
					t.Fatalf("customer %d: %v", i, err)
				}
			}
		})
	})
	t.Run("a hold longer than the code", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := newPlatform()
			var answers atomic.Bool
			calls := p.counted(func() error {
				if !answers.Load() {
					return &fetchers.APIError{Code: 61004, Reaction: fetchers.AddressRefused, Pause: 5 * time.Hour}
				}
				return nil
			})
			r := start(t, Config{Catalog: p.catalog()})
			r.mustPush("ticket", time.Now())
			for i := range 20 {
				child := fmt.Sprint("wx", i)
				r.mustAccept(child, "code-of-"+child, time.Hour)
			}
			r.mustAccept("wxz", "code-of-wxz", 3*time.Hour)
			time.Sleep(30 * time.Minute)
			answers.Store(true)
			time.Sleep(31 * time.Minute)
			if _, err := r.grants.live(customer("wxz", "refresh_token")); err != nil {
				t.Errorf("a code that has time, after another was exchanged: %v", err)
			}
			for i := range 20 {
				if _, err := r.grants.live(customer(fmt.Sprint("wx", i), "refresh_token")); err != nil {
					t.Fatalf("customer %d: %v", i, err)
				}
			}
			if n := calls(); n > 21+endpointCalls+1 {
				t.Errorf("calls: got %d", n)
			}
		})
	})
}

// TestOutletHold holds that calls that fail together count as one failure, that a call with another
// secret is made in the hold and counted from one, and that WeChat's refusal of a code ends the
// hold.
func TestOutletHold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, d := newPlatform(), newDisk()
		err := error(refusal(45009, fetchers.QuotaMinute))
		calls := p.counted(func() error { time.Sleep(time.Second); return err })
		with := func(settings string) catalog {
			c := p.catalog()
			s := c[component]
			s.Settings = settings
			c[component] = s
			return c
		}
		r := start(t, Config{Store: d, Catalog: with("v1")})
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		failed := func(what string, wantCalls, wantFailures int) {
			t.Helper()
			synctest.Wait()
			if h := r.endpoints.of(platform, exchanges).hold; calls() != wantCalls || h == nil || h.failures != wantFailures {
				t.Errorf("%s: %d calls, hold %+v; want %d calls, %d failures", what, calls(), h, wantCalls, wantFailures)
			}
		}
		exchange := func(code string) { _, _ = r.Exchange(t.Context(), platform, secret.Text(code)) }
		var all sync.WaitGroup
		for i := range endpointCalls {
			all.Go(func() { exchange(fmt.Sprint("code-", i)) })
		}
		all.Wait()
		failed("together", endpointCalls, 1)
		time.Sleep(time.Hour)
		exchange("code-of-wxa")
		failed("after the hold", endpointCalls+1, 2)
		exchange("code-of-wxb")
		failed("in the hold", endpointCalls+1, 2)
		r.SetCatalog(with("v2"))
		exchange("code-of-wxb")
		failed("with another secret", endpointCalls+2, 1)
		time.Sleep(time.Hour)
		err = refusal(61009, fetchers.CodeRefused)
		exchange("code-of-wxc")
		if r.endpoints.holds(platform+exchanges) || d.has(record.Holds, platform+exchanges) {
			t.Error("the hold has not ended")
		}
	})
}

// TestProbesInHold holds that codes that expire during a hold cause one call a minute, not one call
// each.
func TestProbesInHold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform()
		calls := p.counted(func() error {
			return &fetchers.APIError{Code: 61004, Reaction: fetchers.AddressRefused, Pause: 5 * time.Hour}
		})
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		_, _ = r.Exchange(t.Context(), platform, "code-of-wxa") // begins the hold
		accept := func(life time.Duration) {
			child := fmt.Sprint("wx", life)
			r.mustAccept(child, "code-of-"+child, life)
		}
		for i := range 20 {
			accept(time.Hour + time.Duration(i)*time.Millisecond)
		}
		accept(time.Hour + probeEvery - time.Second)
		accept(time.Hour + probeEvery)
		time.Sleep(time.Hour - lastTry - time.Second)
		for i, want := range []int{0, 1, 1, 2} {
			synctest.Wait()
			if n := calls() - 1; n != want {
				t.Errorf("look %d: %d calls during the hold, want %d", i, n, want)
			}
			time.Sleep([]time.Duration{2 * time.Second, probeEvery - 2*time.Second, 2 * time.Second, 0}[i])
		}
	})
}

// TestHeldCodeAnswersAtOnce: with its hold's error and seconds, to a client that submits the code
// or asks for the customer.
func TestHeldCodeAnswersAtOnce(t *testing.T) {
	for _, tc := range []struct {
		name    string
		err     error // of the exchange
		parent  error // of the parent
		want    credential.Reason
		restart bool
	}{
		{"quota", refusal(45009, fetchers.QuotaMinute), nil, credential.Limited, false},
		{"quota after a restart", refusal(45009, fetchers.QuotaMinute), nil, credential.Limited, true},
		{"address", refusal(61004, fetchers.AddressRefused), nil, credential.Refused, false},
		{"unreachable", away(), nil, credential.Unreachable, false},
		{"unreachable after a restart", away(), nil, credential.Unreachable, true},
		{"parent", nil, refusal(40125, fetchers.Misconfigured), credential.Refused, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPlatform("wxa")
				p.counted(func() error { return tc.err })
				if tc.parent != nil {
					p.component.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return fetchers.Token{}, tc.parent })
				}
				d := newDisk()
				r := start(t, Config{Store: d, Catalog: p.catalog()})
				r.mustPush("ticket", time.Now())
				r.mustAccept("wxa", "code-of-wxa", time.Hour)
				synctest.Wait()
				time.Sleep(300 * time.Millisecond)
				if tc.restart {
					r.stop()
					r = start(t, Config{Store: d, Catalog: p.catalog()})
					synctest.Wait()
				}
				began := time.Now()
				_, exchanged := r.Exchange(t.Context(), platform, "code-of-wxa")
				of := mustReason(t, exchanged, tc.want)
				for _, word := range []string{"access_token", "jsapi_ticket"} {
					_, got := r.get(customer("wxa", word))
					if as := mustReason(t, got, tc.want); as.Message != of.Message || as.RetryAfter != of.RetryAfter || of.RetryAfter <= 0 {
						t.Errorf("%s: told %q, %v; EXCHANGE %q, %v", word, as.Message, as.RetryAfter, of.Message, of.RetryAfter)
					}
				}
				if took := time.Since(began); took != 0 {
					t.Errorf("answered after %s", took)
				}
				time.Sleep(of.RetryAfter / 2)
				if _, again := r.Exchange(t.Context(), platform, "code-of-wxa"); tc.parent == nil && mustReason(t, again, tc.want).RetryAfter > of.RetryAfter {
					t.Error("the seconds do not run down")
				}
			})
		})
	}
}

// TestLastTryOfMany: one code's last try tells whether the hold's cause is over; until it has, no
// other gives up.
func TestLastTryOfMany(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprint("restarted: ", restarted), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPlatform()
				var answers atomic.Bool
				calls := p.counted(func() error {
					time.Sleep(time.Second)
					if !answers.Load() {
						return refusal(45009, fetchers.QuotaMinute)
					}
					return nil
				})
				d := newDisk()
				r := start(t, Config{Store: d, Catalog: p.catalog()})
				r.mustPush("ticket", time.Now())
				for i := range 40 {
					child := fmt.Sprint("wx", i)
					r.mustAccept(child, "code-of-"+child, time.Hour)
				}
				time.Sleep(35 * time.Minute)
				if restarted { // more calls are in flight at once again
					r.stop()
					r = start(t, Config{Store: d, Catalog: p.catalog()})
				}
				answers.Store(true)
				n := calls()
				time.Sleep(26 * time.Minute)
				for i := range 40 {
					if _, err := r.grants.live(customer(fmt.Sprint("wx", i), "refresh_token")); err != nil {
						t.Errorf("customer %d: %v", i, err)
					}
				}
				if calls() != n+40 || d.count(t, record.Codes) != 0 {
					t.Errorf("%d calls, %d codes on disk", calls()-n, d.count(t, record.Codes))
				}
			})
		})
	}
}

// TestHoldSecondsAfterRestart: a code tells those of its endpoint's hold, not when it would look at
// the hold again.
func TestHoldSecondsAfterRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		p.counted(func() error { return refusal(45009, fetchers.QuotaMinute) })
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustAccept("wxa", "code-of-wxa", 3*time.Hour)
		time.Sleep(40 * time.Minute)
		var told []time.Duration
		for range 2 {
			for _, code := range []secret.Text{"code-of-wxa", "another"} {
				_, err := r.Exchange(t.Context(), platform, code)
				told = append(told, mustReason(t, err, credential.Limited).RetryAfter)
			}
			r.stop()
			r = start(t, Config{Store: d, Catalog: p.catalog()})
			synctest.Wait()
		}
		if told[0] < 10*time.Minute || told[1] != told[0] || told[2] != told[0] || told[3] != told[0] {
			t.Errorf("told %v", told)
		}
	})
}

// TestUnansweredLastTry: a last try that found out nothing is followed by others.
func TestUnansweredLastTry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa", "wxb", "wxc")
		began, lost := time.Now(), 0
		calls := p.counted(func() error {
			time.Sleep(time.Second)
			switch {
			case time.Since(began) < 59*time.Minute:
				return refusal(45009, fetchers.QuotaMinute)
			case lost < 2:
				lost++
				return away()
			}
			return nil
		})
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		for _, child := range p.children {
			r.mustAccept(child, "code-of-"+child, time.Hour)
		}
		time.Sleep(59 * time.Minute)
		n := calls()
		time.Sleep(2 * time.Minute)
		for _, child := range p.children {
			if _, err := r.grants.live(customer(child, "refresh_token")); err != nil {
				t.Errorf("%s: %v", child, err)
			}
		}
		if calls() != n+5 {
			t.Errorf("calls: got %d, want 5", calls()-n)
		}
	})
}

// TestReauthorizationHeld: a customer whose grant is dead and who has authorized again: readers get
// what the code waits for.
func TestReauthorizationHeld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		p.counted(func() error { return refusal(45009, fetchers.QuotaMinute) })
		p.token.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			return fetchers.Token{}, refusal(61003, fetchers.Reauthorize)
		})
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "dead")
		names := []string{customer("wxa", "access_token"), customer("wxa", "jsapi_ticket")}
		for _, name := range names {
			_, err := r.get(name)
			mustReason(t, err, credential.Reauth)
		}
		r.mustAccept("wxa", "code-of-wxa", 10*time.Minute)
		synctest.Wait()
		_, err := r.Exchange(t.Context(), platform, "code-of-wxa")
		want := mustReason(t, err, credential.Limited)
		for _, name := range names {
			_, err := r.get(name)
			if of := mustReason(t, err, credential.Limited); of.RetryAfter != want.RetryAfter || of.Message != want.Message {
				t.Errorf("%s: told %q, %v; EXCHANGE %q, %v", name, of.Message, of.RetryAfter, want.Message, want.RetryAfter)
			}
		}
		time.Sleep(11 * time.Minute)
		for _, name := range names {
			_, err := r.get(name)
			mustReason(t, err, credential.Reauth)
		}
	})
}
