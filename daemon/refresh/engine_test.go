package refresh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/fetchers"
)

func TestRotatingTokenDay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(2 * time.Hour)
		r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.RotatingToken, Fetcher: up})})
		r.mustGet(app)
		for range 24 * 60 {
			time.Sleep(time.Minute)
			if _, ok := r.Cached([]byte(app)); !ok {
				t.Fatalf("no valid value at %v", time.Now())
			}
		}
		if n := up.count(); n < 12 || n > 14 {
			t.Errorf("calls in a day: got %d, want about 13", n)
		}
		for i := 1; i < len(up.times); i++ {
			if d := up.times[i].Sub(up.times[i-1]); d < 109*time.Minute || d > 112*time.Minute {
				t.Errorf("call %d came %v after the one before, want about 110m", i, d)
			}
		}
	})
}

// repeating answers like stable_token: the same value until the last overlap of its
// life, then the next.
func repeating(life, overlap time.Duration, alwaysFull bool) *upstream {
	var mu sync.Mutex
	var born time.Time
	gen := 0
	return &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if gen == 0 || now.Sub(born) >= life-overlap {
			gen++
			born = now
		}
		left := life - now.Sub(born)
		if alwaysFull {
			left = life
		}
		return token(fmt.Sprintf("tok-%d", gen), left), nil
	}}
}

func TestStableTokenChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := repeating(2*time.Hour, 5*time.Minute, false)
		r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up})})
		began := time.Now()
		first := r.mustGet(app)
		time.Sleep(time.Until(began.Add(2*time.Hour - 5*time.Minute)))
		synctest.Wait()
		if got := r.mustGet(app); got != first {
			t.Errorf("changed before WeChat did: got %s", got)
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if got := r.mustGet(app); got == first {
			t.Errorf("a minute after the change still the old value")
		}
		if n := up.count(); n > 4 {
			t.Errorf("calls: got %d, want at most 4", n)
		}
	})
}

func TestRepeatedValueLife(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := repeating(2*time.Hour, 0, true) // a ticket: always says 7200
		r := start(t, Config{Catalog: specs(Spec{Name: tick, Policy: policy.Ticket, Fetcher: up})})
		began := time.Now()
		first := r.mustGet(tick)
		s, _ := r.Status(tick)
		end := s.ExpiresAt
		changed := time.Time{}
		for time.Since(began) < 2*time.Hour+2*time.Minute {
			time.Sleep(10 * time.Second)
			synctest.Wait()
			s, _ := r.Status(tick)
			if v := r.mustGet(tick); v != first {
				changed = time.Now()
				break
			}
			if s.ExpiresAt.After(end) {
				t.Fatalf("end moved from %v to %v", end, s.ExpiresAt)
			}
		}
		if late := changed.Sub(began.Add(2 * time.Hour)); changed.IsZero() || late > time.Minute {
			t.Errorf("change picked up %v after it happened, want a minute at most", late)
		}
	})
}

func TestRepeatedPastExpiry(t *testing.T) {
	for kind, most := range map[*policy.Policy]int{policy.Ticket: 80, policy.CorpTicket: 80, policy.StableToken: 80} {
		bubble(t, func(t *testing.T) {
			up := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
				time.Sleep(200 * time.Millisecond)
				return token("same", 2*time.Hour), nil
			}}
			r := start(t, Config{Catalog: specs(Spec{Name: tick, Policy: kind, Account: "app", Owner: "corp", Fetcher: up})})
			r.mustGet(tick)
			time.Sleep(2*time.Hour + time.Second)
			up.mu.Lock()
			up.times = nil
			up.mu.Unlock()
			for range 5 * 360 {
				v, err := r.Get(context.Background(), tick)
				if err != nil {
					t.Fatalf("%s: %v", kind, err)
				}
				if v.TTL > time.Minute {
					t.Fatalf("%s: ttl past the recorded end: got %v, want a minute at most", kind, v.TTL)
				}
				time.Sleep(10 * time.Second)
			}
			if n := up.within(time.Hour); n < 50 || n > most {
				t.Errorf("%s: calls in an hour past the end: got %d, want 50 to %d", kind, n, most)
			}
		})
	}
}

func TestReadersShareOneCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		slow := &upstream{answer: func(ctx context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
			time.Sleep(2 * time.Second)
			return token(fmt.Sprintf("tok-%d", n), time.Hour), nil
		}}
		other := fresh(time.Hour)
		r := start(t, Config{Catalog: specs(
			Spec{Name: app, Policy: policy.StableToken, Fetcher: slow},
			Spec{Name: app2, Policy: policy.StableToken, Fetcher: other})})
		began := time.Now()
		var wg sync.WaitGroup
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wg.Go(func() {
			if _, err := r.Get(impatient, app); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("impatient reader: got %v, want its own deadline", err)
			}
		})
		synctest.Wait()
		for range 200 {
			wg.Go(func() {
				if v, err := r.get(app); err != nil || v != "tok-1" {
					t.Errorf("got %q, %v", v, err)
				}
			})
		}
		time.Sleep(time.Millisecond)
		r.mustGet(app2)
		if d := time.Since(began); d > 2*time.Millisecond {
			t.Errorf("another credential took %v", d)
		}
		wg.Wait()
		if n := slow.count(); n != 1 {
			t.Errorf("calls: got %d, want 1", n)
		}
		if d := time.Since(began); d != 2*time.Second {
			t.Errorf("took %v, want 2s", d)
		}
	})
}

func TestOutageServedUntilExpiry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(2 * time.Hour)
		r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up})})
		began := time.Now()
		r.mustGet(app)
		up.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return fetchers.Token{}, away() })
		time.Sleep(time.Until(began.Add(2*time.Hour - time.Nanosecond)))
		if got := r.mustGet(app); got != "tok-1" {
			t.Errorf("got %s, want tok-1", got)
		}
		r.mustState(app, credential.Stale)
		time.Sleep(time.Nanosecond)
		_, err := r.get(app)
		e := mustReason(t, err, credential.Unreachable)
		if e.RetryAfter <= 0 || e.RetryAfter > time.Minute {
			t.Errorf("retry after: got %v", e.RetryAfter)
		}
		r.mustState(app, credential.Expired)
		time.Sleep(10 * time.Hour)
		synctest.Wait()
		if n := up.count(); n > 10*3600/30+20 {
			t.Errorf("calls in ten hours of outage: got %d", n)
		}
		up.answers(func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
			return token("back", time.Hour), nil
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		if v, ok := r.Cached([]byte(app)); !ok || v.Text != "back" {
			t.Errorf("a minute after the outage: got %q, %v", string(v.Text), ok)
		}
		r.mustState(app, credential.Fresh)
	})
}

func TestForcedRefreshesBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		forced := 0
		up := &upstream{answer: func(_ context.Context, ask fetchers.Ask, n int) (fetchers.Token, error) {
			if ask.Force {
				forced++
			}
			if n%2 == 0 {
				return fetchers.Token{}, away() // counts all the same
			}
			return token(fmt.Sprintf("tok-%d", n), time.Hour), nil
		}}
		d := newDisk()
		cfg := Config{Store: d, Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up})}
		r := start(t, cfg)
		_, _ = r.Refresh(t.Context(), app)
		time.Sleep(29 * time.Second)
		_, err := r.Refresh(t.Context(), app)
		if e := mustReason(t, err, credential.Limited); e.RetryAfter != time.Second {
			t.Errorf("retry after: got %v, want 1s", e.RetryAfter)
		}
		for range 30 {
			time.Sleep(31 * time.Second)
			_, _ = r.Refresh(t.Context(), app)
			if rand.IntN(3) == 0 {
				r.stop()
				r = start(t, cfg)
			}
		}
		if forced != 20 {
			t.Errorf("forced refreshes: got %d, want 20", forced)
		}
		time.Sleep(24 * time.Hour)
		if _, err := r.Refresh(t.Context(), app); reason(err) == credential.Limited {
			t.Errorf("the next day: %v", err)
		}
	})
}

func TestShortLivesMakeNoHotLoop(t *testing.T) {
	for _, life := range []time.Duration{time.Second, 2 * time.Second, 6 * time.Second, time.Minute} {
		for _, kind := range []*policy.Policy{policy.RotatingToken, policy.StableToken, policy.Ticket} {
			t.Run(fmt.Sprint(life, " ", kind), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					up := fresh(life)
					same := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return token("same", life), nil }}
					c := specs(Spec{Name: app, Policy: kind, Fetcher: up}, Spec{Name: app2, Policy: kind, Fetcher: same})
					// No budget hides a loop.
					for name, s := range c {
						s.Account = name
						c[name] = s
					}
					r := start(t, Config{Catalog: c})
					r.mustGet(app)
					r.mustGet(app2)
					time.Sleep(10 * time.Minute)
					if n, most := up.count(), int(10*time.Minute/min(life, time.Hour)*2)+2; n > most {
						t.Errorf("new values: %d calls in ten minutes, want %d at most", n, most)
					}
					if n := same.count(); n > 602 {
						t.Errorf("one value: %d calls in ten minutes, want one a second at most", n)
					}
				})
			})
		}
	}
}

func TestDeadOnArrival(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			time.Sleep(2 * time.Second)
			return token("x", time.Second), nil
		}}
		r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up})})
		_, err := r.get(app)
		mustReason(t, err, credential.Unreachable)
	})
}

func TestSuspendEndsLives(t *testing.T) {
	bubble(t, func(t *testing.T) {
		host := &clocks{booted: time.Now().Add(-time.Hour)}
		up := fresh(2 * time.Hour)
		r := start(t, Config{
			Catalog:  specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up}),
			Boottime: host.boottime, Boot: "b1",
		})
		r.mustGet(app)
		synctest.Wait()          // the schedule reads the clock after a landing
		host.pass(3 * time.Hour) // in suspend
		r.mustServe(map[string]time.Duration{app: 0})
		if got := r.mustGet(app); got != "tok-2" {
			t.Errorf("got %s, want tok-2", got)
		}
		for range 3 {
			host.set(3 * time.Hour)
			r.mustServe(map[string]time.Duration{app: 2 * time.Hour})
		}
		if n := up.count(); n != 2 {
			t.Errorf("%d calls, want none because the wall clock was set", n)
		}
		host.pass(time.Hour) // or the wall clock is set back, and an hour passes
		r.mustServe(map[string]time.Duration{app: time.Hour})
	})
}

func TestStopWaitsForRotation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		slow := func() *upstream {
			return &upstream{answer: func(ctx context.Context, _ fetchers.Ask, _ int) (fetchers.Token, error) {
				select {
				case <-time.After(4 * time.Second):
					return token("late", time.Hour), nil
				case <-ctx.Done():
					return fetchers.Token{}, &fetchers.TransportError{Endpoint: "/x", Err: ctx.Err()}
				}
			}}
		}
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: specs(
			Spec{Name: app, Policy: policy.RotatingToken, Fetcher: slow()},
			Spec{Name: app2, Policy: policy.StableToken, Fetcher: slow()})})
		errs := make(chan error, 2)
		go func() { _, err := r.get(app2); errs <- err }()
		go func() { _, _ = r.get(app) }()
		time.Sleep(time.Second)
		began := time.Now()
		r.end()
		mustReason(t, <-errs, credential.Stopping)
		if d := time.Since(began); d > 0 {
			t.Errorf("the repeating fetch held the stop up for %v", d)
		}
		r.stop()
		if d := time.Since(began); d != 3*time.Second {
			t.Errorf("stopped after %v, want 3s", d)
		}
		if !d.has(record.Credentials, app) {
			t.Error("the rotated value was lost")
		}
		_, err := r.get(app2)
		mustReason(t, err, credential.Stopping)
	})
}

func TestAccountRemoved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up, other := fresh(time.Hour), fresh(time.Hour)
		d := newDisk()
		keep := Spec{Name: app2, Policy: policy.StableToken, Fetcher: other, Settings: "s"}
		r := start(t, Config{Store: d, Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up}, keep)})
		r.mustGet(app)
		r.mustGet(app2)
		r.SetCatalog(specs(keep))
		_, err := r.get(app)
		mustReason(t, err, credential.NotFound)
		if d.has(record.Credentials, app) {
			t.Error("the token of a removed account is still on disk")
		}
		if got := r.mustGet(app2); got != "tok-1" || other.count() != 1 {
			t.Errorf("the other account: got %s after %d calls", got, other.count())
		}
		time.Sleep(3 * time.Hour)
		if n := up.count(); n != 1 {
			t.Errorf("calls for the removed account: got %d, want 1", n)
		}
	})
}
