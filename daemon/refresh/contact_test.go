package refresh

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
)

// TestApartFromPeers: without the other hosts, what rotates is not fetched and no hold remains. A
// value that is due is served for one overlap more.
func TestApartFromPeers(t *testing.T) {
	const message = "no call made: etcd unreachable, and rotating tokens are not fetched without etcd"
	for reason, want := range map[string]string{
		"etcd unreachable": message,
		"etcd refuses writes: mvcc: database space exceeded": "etcd refuses writes: mvcc: database space exceeded",
	} {
		t.Run(reason, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, up := &peers{}, fresh(twoHours)
				r := startPeers(t, p, Config{Catalog: rotatingApp(up)})
				p.set(func() {
					p.claim = func(int, Want) error { return &ApartError{reason} }
				})
				_, err := r.get(app)
				if e := mustReason(t, err, credential.Unreachable); e.Message != want || e.RetryAfter != 5*time.Second {
					t.Errorf("got %q, retry after %v", e.Message, e.RetryAfter)
				}
				p.set(func() {
					p.claim = nil
				})
				r.mustGet(app)
				p.set(func() {
					p.claim = func(int, Want) error { return &ApartError{reason} }
				})
				began := time.Now()
				for time.Since(began) < twoHours-5*time.Minute {
					if got := r.mustGet(app); got != "tok-1" {
						t.Fatalf("got %s", got)
					}
					time.Sleep(time.Minute)
				}
				_, err = r.get(app)
				mustReason(t, err, credential.Unreachable)
				p.set(func() {
					p.claim = nil
				})
				if time.Sleep(6 * time.Second); r.mustGet(app) != "tok-2" || up.count() != 2 {
					t.Errorf("%d calls, want another one", up.count())
				}
			})
		})
	}
}

// TestUnconfirmedClaim: without the other hosts, what WeChat repeats is fetched within this host's
// share of the spare calls, and stored when that is possible.
func TestUnconfirmedClaim(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(twoHours)
		p := &peers{of: 3, claim: func(int, Want) error { return ErrUnconfirmed }}
		p.set(func() {
			p.land = func(int, []record.Record) error { return errors.Join(ErrUnconfirmed, &ApartError{unreachable}) }
		})
		p.set(func() {
			p.write = func(int, []record.Record) error { return &ApartError{unreachable} }
		})
		one := *policy.Ticket
		one.Budgets = slices.Clone(policy.Ticket.Budgets)
		one.Budgets[0].Spare = 3
		r := startPeers(t, p, Config{Catalog: specs(Spec{Name: tick, Policy: &one, Fetcher: up})})
		if got := r.mustGet(tick); got != "tok-1" {
			t.Errorf("got %s", got)
		}
		if s, err := r.Status(tick); err != nil || s.Durable || s.Shared.Stored {
			t.Errorf("status: got %+v, %v", s, err)
		}
		_, err := r.Refresh(t.Context(), tick)
		if e := mustReason(t, err, credential.Limited); up.count() != 1 {
			t.Errorf("got %q after %d calls, want one of the three spare calls", e.Message, up.count())
		}
		p.mu.Lock()
		p.claim, p.land, p.write = nil, nil, nil
		p.mu.Unlock()
		time.Sleep(20 * time.Second)
		if !p.disk.has(record.Credentials, tick) || len(r.ledger.Uncounted()) > 0 {
			t.Error("the value or the call is still not stored")
		}
	})
}

// TestRankShift: hosts refresh one after the other.
func TestRankShift(t *testing.T) {
	due := func(place int) (at time.Duration) {
		bubble(t, func(t *testing.T) {
			up := fresh(twoHours)
			r := startPeers(t, &peers{place: place, of: 3}, Config{Catalog: rotatingApp(up)})
			began := time.Now()
			r.mustGet(app)
			time.Sleep(twoHours - time.Minute)
			up.mu.Lock()
			defer up.mu.Unlock()
			if len(up.times) < 2 {
				t.Fatal("no refresh")
			}
			at = up.times[1].Sub(began)
		})
		return at
	}
	first := due(0)
	for place := 1; place < 3; place++ {
		if got, want := due(place)-first, time.Duration(place)*2*time.Second; got < want-time.Second || got > want+time.Second {
			t.Errorf("place %d: %v later, want %v", place, got, want)
		}
	}
}

// TestUnconfirmedStale: a rotating value is listed as stale when a rotation may have been missed.
func TestUnconfirmedStale(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &peers{}
		r := startPeers(t, p, Config{Catalog: specs(
			Spec{Name: app, Policy: policy.RotatingToken, Fetcher: fresh(twoHours)},
			Spec{Name: app2, Policy: policy.StableToken, Fetcher: fresh(twoHours)})})
		r.mustGet(app)
		r.mustGet(app2)
		w := r.Subscribe("")
		defer w.Close()
		var states []credential.State
		take := func() {
			synctest.Wait()
			events, _ := w.Take()
			for _, ev := range events {
				if ev.Name != app {
					t.Errorf("an event of %s", ev.Name)
				}
				states = append(states, ev.State)
			}
		}
		last := p.now()
		p.mu.Lock()
		p.confirmed = &last
		p.mu.Unlock()
		time.Sleep(4*time.Minute + 50*time.Second)
		r.mustState(app, credential.Fresh)
		time.Sleep(20 * time.Second)
		take()
		r.mustState(app, credential.Stale)
		r.mustState(app2, credential.Fresh)
		if s, err := r.Status(app); err != nil || !s.Shared.Unconfirmed {
			t.Errorf("got %+v, %v", s.Shared, err)
		}
		p.set(func() {
			p.claim = func(int, Want) error { return &ApartError{unreachable} }
		})
		_, err := r.Reject(t.Context(), app, "tok-1")
		mustReason(t, err, credential.Unreachable)
		p.set(func() {
			p.claim = nil
		})
		p.mu.Lock()
		p.confirmed = nil
		p.mu.Unlock()
		time.Sleep(10 * time.Second)
		take()
		r.mustState(app, credential.Fresh)
		if want := []credential.State{credential.Stale, credential.Fresh}; !slices.Equal(states, want) {
			t.Errorf("got events %v, want %v", states, want)
		}
	})
}

// TestUnreadValueCut: a rotating value that nobody reads ends, too, when another host may have
// replaced it while this one is apart.
func TestUnreadValueCut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, wx := &peers{}, newPlatform("wxa")
		r := startPeers(t, p, Config{Catalog: wx.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "grant")
		name := customer("wxa", "access_token")
		r.mustGet(name)
		last := p.now()
		p.mu.Lock()
		p.confirmed, p.claim = &last, func(int, Want) error { return &ApartError{unreachable} }
		p.mu.Unlock()
		time.Sleep(twoHours - 5*time.Minute + time.Second)
		if v, ok := r.Cached([]byte(name)); ok {
			t.Errorf("served for another %v", v.TTL)
		}
	})
}
