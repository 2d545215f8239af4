package refresh

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

func TestRefusedCodeNotRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		calls := 0
		inner := p.exchange
		p.exchange = func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
			calls++
			return inner(ctx, parent, code)
		}
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		for range 5 {
			if err := r.Accept(t.Context(), platform, "nonsense", time.Now(), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			_, err := r.Exchange(t.Context(), platform, "nonsense")
			mustReason(t, err, credential.Refused)
		}
		if calls != 1 {
			t.Errorf("calls: got %d, want 1", calls)
		}
	})
}

// TestExchangeReportsParent: no code is exchanged before the platform has a token
// again.
func TestExchangeReportsParent(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want credential.Reason
		min  time.Duration
	}{
		{"a mistake", refusal(40125, fetchers.Misconfigured), credential.Refused, 4 * time.Minute},
		{"a ticket that is refused", refusal(61006, fetchers.NewTicket), credential.NoTicket, nextPush},
		{"a quota", refusal(45009, fetchers.QuotaDay), credential.Limited, 59 * time.Second},
		{"nobody there", away(), credential.Unreachable, time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPlatform("wxa")
				p.component.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
					return fetchers.Token{}, tc.err
				})
				r := start(t, Config{Catalog: p.catalog()})
				r.mustPush("ticket", time.Now())
				for range 3 {
					_, err := r.Exchange(t.Context(), platform, "code-of-wxa")
					got := mustReason(t, err, tc.want)
					_, err = r.get(component)
					want := mustReason(t, err, tc.want)
					if got.RetryAfter.Round(time.Second) != want.RetryAfter.Round(time.Second) || want.RetryAfter < tc.min || got.Message != want.Message {
						t.Errorf("got %v %q, want the parent's %v %q", got.RetryAfter, got.Message, want.RetryAfter, want.Message)
					}
				}
			})
		})
	}
}

func TestCodeExchangedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		calls := 0
		inner := p.exchange
		p.exchange = func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
			calls++
			time.Sleep(time.Second)
			return inner(ctx, parent, code)
		}
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				if i%2 == 0 {
					if err := r.Accept(t.Context(), platform, "code-of-wxa", time.Now(), time.Now().Add(time.Hour)); err != nil {
						t.Error(err)
					}
					return
				}
				if name, err := r.Exchange(t.Context(), platform, "code-of-wxa"); err != nil || name != platform+"/wxa" {
					t.Errorf("got %q, %v", name, err)
				}
			})
		}
		wg.Wait()
		time.Sleep(2 * time.Second)
		if calls != 1 {
			t.Errorf("calls: got %d, want 1", calls)
		}
		if got := r.mustGet(customer("wxa", "access_token")); got != "first-wxa" || p.token.count() != 0 {
			t.Errorf("first token: got %s after %d calls", got, p.token.count())
		}
		_, err := r.Exchange(t.Context(), platform, "nonsense")
		mustReason(t, err, credential.Refused)
	})
}

func TestPromisedCodeExchanged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		inner, down := p.exchange, true
		p.exchange = func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
			if down {
				return fetchers.Authorization{}, away()
			}
			return inner(ctx, parent, code)
		}
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		if err := r.Accept(t.Context(), platform, "code-of-wxa", time.Now(), time.Now().Add(10*time.Minute)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		r.stop()
		down = false
		r = start(t, Config{Store: d, Catalog: p.catalog()})
		time.Sleep(time.Minute) // the pause between two tries continues over the restart
		if got := r.mustGet(customer("wxa", "access_token")); got != "first-wxa" {
			t.Errorf("got %s", got)
		}
		for range d.All(record.Codes) {
			t.Error("the code is still on disk")
		}
		// A code that is refused for good, or has expired, is forgotten.
		down = true
		for _, code := range []secret.Text{"bad", "code-of-wxa-2"} {
			if err := r.Accept(t.Context(), platform, code, time.Now(), time.Now().Add(10*time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		for range d.All(record.Codes) {
			t.Error("a useless code is still on disk")
		}
	})
}

func TestAcceptIsDurableOrAnError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "refresh")
		d.fail(errors.New("no space left"))
		if err := r.Accept(t.Context(), platform, "code-of-wxa", time.Now(), time.Now().Add(time.Hour)); err == nil {
			t.Error("Accept: got nil")
		}
		if err := r.Put(t.Context(), customer("wxa", "refresh_token"), "other"); err == nil {
			t.Error("Put: got nil")
		}
		if err := r.Push(t.Context(), verify, "ticket-2", time.Now()); err == nil {
			t.Error("Push: got nil")
		}
		if err := r.Revoke(t.Context(), customer("wxa", "refresh_token"), time.Now()); err == nil {
			t.Error("Revoke: got nil")
		}
		if _, err := r.Exchange(t.Context(), platform, "code-of-wxa"); err == nil {
			t.Error("Exchange: got nil")
		}
	})
}

func TestCodeWaitsForTicket(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		r := start(t, Config{Catalog: p.catalog()})
		if err := r.Accept(t.Context(), platform, "code-of-wxa", time.Now(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		for range 20 { // it waits at whatever moment the ticket comes
			time.Sleep(7 * time.Second)
			if _, err := r.grants.live(customer("wxa", "refresh_token")); err == nil {
				t.Fatal("exchanged without a ticket")
			}
		}
		r.mustPush("ticket", time.Now())
		time.Sleep(time.Second)
		synctest.Wait()
		g, err := r.grants.live(customer("wxa", "refresh_token"))
		if err != nil || g.Value != "refresh-of-wxa" || g.Source != "event" {
			t.Errorf("a second after the ticket: source %q, %v", g.Source, err)
		}
	})
}
