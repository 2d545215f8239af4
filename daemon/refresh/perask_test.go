package refresh

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers"
)

// TestPerRequestNotScheduled holds that what is fetched for each request is fetched for nobody
// else: not after a failure, not after a restart, and not because an earlier version has left a
// hold.
func TestPerRequestNotScheduled(t *testing.T) {
	for what, err := range map[string]error{
		"refused":     refusal(48001, fetchers.Misconfigured),
		"unreachable": away(),
		"quota":       refusal(45011, fetchers.QuotaMinute),
		"no ticket":   refusal(61006, fetchers.NewTicket),
		"dead parent": refusal(42001, fetchers.ParentDead),
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, d := newPlatform(), newDisk()
				p.code.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return fetchers.Token{}, err })
				r := start(t, Config{Store: d, Catalog: p.catalog()})
				quiet := func() {
					t.Helper()
					before := p.code.count()
					for range 24 {
						r.mustPush("ticket"+time.Now().String(), time.Now())
						time.Sleep(time.Hour)
					}
					if n := p.code.count() - before; n != 0 {
						t.Errorf("%d calls for nobody", n)
					}
				}
				r.mustPush("ticket", time.Now())
				if _, err := r.get(preAuth); err == nil {
					t.Fatal("no error")
				}
				if s, _ := r.Status(preAuth); !s.NextRefresh.IsZero() || s.LastError == "" {
					t.Errorf("next refresh %v, last error %q; want none, and why", s.NextRefresh, s.LastError)
				}
				if d.has(record.Holds, preAuth) {
					t.Error("its hold is on disk")
				}
				quiet()
				r.mustState(preAuth, credential.Idle)
				r.stop()
				old := record.Hold{Name: preAuth, Reason: uint8(credential.Refused), Message: "no", Failures: 3,
					Since: record.Moment{Wall: time.Now()}, Until: record.Moment{Wall: time.Now().Add(time.Hour)}}
				if err := d.Put(t.Context(), old.Encode()); err != nil {
					t.Fatal(err)
				}
				r = start(t, Config{Store: d, Catalog: p.catalog()})
				quiet()
				if d.has(record.Holds, preAuth) {
					t.Error("the hold of an earlier version is still on disk")
				}
			})
		})
	}
}

// TestPerRequestHold holds that a refusal is remembered while it lasts, that its end is announced,
// and that calls beside each other that fail count as one failure.
func TestPerRequestHold(t *testing.T) {
	for name, told := range map[string][]credential.State{"the longest first": {credential.Held, credential.Idle}, "the longest last": {credential.Expired, credential.Held, credential.Idle}} {
		t.Run(name, func(t *testing.T) { perRequestHold(t, told) })
	}
}

func perRequestHold(t *testing.T, states []credential.State) {
	bubble(t, func(t *testing.T) {
		p := newPlatform()
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		_, _, w := r.Watch(nil, preAuth, nil)
		defer w.Close()
		refusals := []error{refusal(48001, fetchers.Misconfigured), refusal(-1, fetchers.Retry)} // a shorter hold
		if states[0] != credential.Held {
			slices.Reverse(refusals)
		}
		p.code.answers(func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
			time.Sleep(time.Duration(n+1) * time.Second / 2)
			if n <= len(refusals) {
				return fetchers.Token{}, refusals[n-1]
			}
			return token("code", time.Hour), nil
		})
		var all sync.WaitGroup
		for i := range 3 {
			all.Go(func() { _, _ = r.Refresh(credential.WithUser(t.Context(), i), preAuth) })
		}
		all.Wait()
		s, _ := r.Status(preAuth)
		if s.State != credential.Held || s.ErrCode != 48001 || s.Failures != 1 {
			t.Errorf("got %s, errcode %d, %d failures; want held by the longest of one moment", s.State, s.ErrCode, s.Failures)
		}
		_, err := r.get(preAuth)
		if of := mustReason(t, err, credential.Refused); of.RetryAfter <= 4*time.Minute {
			t.Errorf("retry after %v", of.RetryAfter)
		}
		if n := p.code.count(); n != 3 {
			t.Errorf("%d calls, want none in the hold", n)
		}
		time.Sleep(time.Hour)
		r.mustState(preAuth, credential.Idle)
		var told []credential.State
		for _, l := range drain(t, w) {
			told = append(told, l.State)
		}
		if !slices.Equal(told, states) {
			t.Errorf("watchers were notified of %v, want %v", told, states)
		}
		r.mustGet(preAuth)
	})
}

// TestPerRequestBudget holds that calls are bounded per hour, over restarts and whatever asks for
// them, and that a reload changes the bound at once.
func TestPerRequestBudget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, d := newPlatform(), newDisk()
		limited := func(perHour int) catalog {
			c := p.catalog()
			s := c[preAuth]
			s.PerHour = perHour
			c[preAuth] = s
			return c
		}
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		refused := func() {
			t.Helper()
			for range 100 {
				_, err := r.get(preAuth)
				if of := mustReason(t, err, credential.Limited); of.RetryAfter <= 0 || of.RetryAfter > time.Hour {
					t.Fatalf("retry after %v", of.RetryAfter)
				}
			}
		}
		r.mustPush("ticket", time.Now())
		for i := range preAuthCodes {
			if i%2 == 0 {
				r.mustGet(preAuth)
			} else if _, err := r.Reject(t.Context(), preAuth, "code"); err != nil {
				t.Fatal(err)
			}
		}
		refused()
		if _, err := r.Refresh(t.Context(), preAuth); reason(err) != credential.Limited {
			t.Errorf("an operator's refresh: %v", err)
		}
		r.stop()
		r = start(t, Config{Store: d, Catalog: p.catalog()})
		refused()
		r.SetCatalog(limited(preAuthCodes + 10))
		for range 10 {
			r.mustGet(preAuth)
		}
		refused()
		r.SetCatalog(limited(preAuthCodes / 2))
		refused()
		if n := p.code.count(); n != preAuthCodes+10 {
			t.Errorf("%d calls, want %d", n, preAuthCodes+10)
		}
		for _, q := range r.Quotas() {
			if q.Account == preAuth && (q.Spent != preAuthCodes+10 || q.Limit != preAuthCodes/2) {
				t.Errorf("quota: %+v", q)
			}
		}
		time.Sleep(time.Hour + time.Minute)
		r.mustGet(preAuth)
	})
}

// TestPerRequestBudgetShared holds that no user can use up the budget: a tenth is left for those
// who have made fewer calls, and a refused user blocks nobody.
func TestPerRequestBudgetShared(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform()
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		ask := func(user any, n int) (served int) {
			t.Helper()
			for range n {
				_, err := r.Get(credential.WithUser(t.Context(), user), preAuth)
				if err == nil {
					served++
				} else if of := mustReason(t, err, credential.Limited); of.RetryAfter <= 0 || of.RetryAfter > time.Hour {
					t.Fatalf("retry after %v", of.RetryAfter)
				}
			}
			return served
		}
		part := preAuthCodes / 10
		if n := ask("flood", 700); n != preAuthCodes-part {
			t.Errorf("one user got %d, want %d", n, preAuthCodes-part)
		}
		if n := ask("other", part/2); n != part/2 {
			t.Errorf("another user got %d, want %d", n, part/2)
		}
		if n := ask("flood", 100); n != 0 {
			t.Errorf("the first user got %d of what is left for others", n)
		}
		if n := ask("third", 100); n != part/2 {
			t.Errorf("a third user got %d, want %d", n, part/2)
		}
		if n := p.code.count(); n != preAuthCodes {
			t.Errorf("%d calls, want %d", n, preAuthCodes)
		}
		time.Sleep(time.Hour + time.Minute)
		if ask("fourth", 1) != 1 {
			t.Error("a user got nothing in the next hour")
		}
	})
}

// TestPerRequestFair holds that however many requests of one user wait, the first of another does
// not wait for them, that users with requests take turns, and that four calls are in flight at
// most.
func TestPerRequestFair(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform()
		p.code.answers(func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
			time.Sleep(time.Second)
			return token(fmt.Sprint("code-", n), time.Hour), nil
		})
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		ask := func(user any) time.Duration {
			began := time.Now()
			if _, err := r.Get(credential.WithUser(t.Context(), user), preAuth); err != nil {
				t.Error(err)
			}
			return time.Since(began)
		}
		var all sync.WaitGroup
		for range 500 {
			all.Go(func() { ask("flood") })
		}
		synctest.Wait()
		if n := p.code.atOnce(); n != asksAtOnce-1 {
			t.Errorf("%d calls in flight for one user, want %d", n, asksAtOnce-1)
		}
		if took := ask("other"); took != time.Second {
			t.Errorf("another user's first request took %v, want 1s", took)
		}
		// The places are shared: of ten of another's, no two wait for more than one round.
		began := time.Now()
		var other sync.WaitGroup
		for range 10 {
			other.Go(func() { ask("other") })
		}
		other.Wait()
		if took := time.Since(began); took > 7*time.Second {
			t.Errorf("ten of another user's took %v beside a flood, want half of the places", took)
		}
		all.Wait()
		if n := p.code.atOnce(); n != asksAtOnce {
			t.Errorf("%d calls in flight at most, want %d", n, asksAtOnce)
		}
		r.mustBeNoQueue()
	})
}

// mustBeNoQueue holds that nobody waits for a per-request credential or has a call for one in
// flight.
func (r *rig) mustBeNoQueue() {
	r.t.Helper()
	synctest.Wait()
	r.asks.mu.Lock()
	defer r.asks.mu.Unlock()
	if len(r.asks.of) != 0 {
		r.t.Error("a place is taken, or an empty queue is remembered")
	}
}

// TestPerRequestLeaving holds that a caller that stops waiting holds no place, and that a stop ends
// all waits.
func TestPerRequestLeaving(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform()
		p.code.answers(func(ctx context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
			<-ctx.Done() // hangs
			return fetchers.Token{}, &fetchers.TransportError{Endpoint: "/", Sent: true, Err: ctx.Err()}
		})
		r := start(t, Config{Catalog: p.catalog(), Timeout: 5 * time.Second})
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := r.Refresh(impatient, preAuth); err != context.DeadlineExceeded {
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		if n := p.code.count(); n != asksAtOnce-1 {
			t.Errorf("%d calls, want those that were in flight", n)
		}
		time.Sleep(5 * time.Second)
		r.mustBeNoQueue()
		for i := range 20 {
			all.Go(func() {
				_, err := r.Refresh(credential.WithUser(t.Context(), i), preAuth)
				mustReason(t, err, credential.Stopping)
			})
		}
		synctest.Wait()
		began := time.Now()
		r.stop()
		all.Wait()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the stop took %v", took)
		}
	})
}
