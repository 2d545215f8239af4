package refresh

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

func TestARevokedCustomerIsGoneAtOnceAndComesBackClean(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa", "wxb")
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		for _, c := range p.children {
			r.mustPut(customer(c, "refresh_token"), "refresh-"+c)
			r.mustGet(customer(c, "jsapi_ticket"))
		}
		old := r.mustGet(customer("wxa", "access_token"))
		calls := p.token.count() + p.ticket.count()
		time.Sleep(time.Second)
		if err := r.Revoke(t.Context(), customer("wxa", "refresh_token"), time.Now()); err != nil {
			t.Fatal(err)
		}
		check := func(r *rig) {
			t.Helper()
			for _, word := range []string{"access_token", "jsapi_ticket"} {
				if _, ok := r.Cached([]byte(customer("wxa", word))); ok {
					t.Errorf("%s of a revoked customer is served", word)
				}
				_, err := r.get(customer("wxa", word))
				mustReason(t, err, Reauth)
			}
			r.mustGet(customer("wxb", "jsapi_ticket"))
		}
		check(r)
		r2 := start(t, Config{Store: d, Catalog: p.catalog()})
		check(r2)
		if n := p.token.count() + p.ticket.count() - calls; n != 0 {
			t.Errorf("calls after the revocation: %d", n)
		}
		// An authorization that is older than the revocation comes late.
		if err := r2.Accept(t.Context(), platform, "code-of-wxa", time.Now().Add(-time.Minute), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		check(r2)
		// And then the customer comes back.
		time.Sleep(time.Second)
		p.exchange = func(context.Context, secret.Text, secret.Text) (fetchers.Authorization, error) {
			tok := token("back", 2*time.Hour)
			return fetchers.Authorization{Child: "wxa", Grant: "refresh-again", Token: &tok}, nil
		}
		r2.SetCatalog(p.catalog())
		name, err := r2.Exchange(t.Context(), platform, "code-2")
		if err != nil || name != platform+"/wxa" {
			t.Fatalf("got %q, %v", name, err)
		}
		if got := r2.mustGet(customer("wxa", "access_token")); got != "back" || got == old {
			t.Errorf("after the return: got %s", got)
		}
		r2.mustGet(customer("wxa", "jsapi_ticket"))
	})
}

func TestARevocationOutrunsTheExchangeOfWhatItEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		inner := p.exchange
		p.exchange = func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
			time.Sleep(3 * time.Second)
			return inner(ctx, parent, code)
		}
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		if err := r.Accept(t.Context(), platform, "code-of-wxa", time.Now(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := r.Revoke(t.Context(), customer("wxa", "refresh_token"), time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		_, err := r.get(customer("wxa", "access_token"))
		mustReason(t, err, Reauth)
	})
}

func TestARevocationOutrunsAFetchThatIsUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		p.token.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			time.Sleep(2 * time.Second)
			tok := token("late", 2*time.Hour)
			tok.Grant = "rotated"
			return tok, nil
		})
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "refresh")
		errs := make(chan error, 1)
		go func() { _, err := r.get(customer("wxa", "access_token")); errs <- err }()
		time.Sleep(time.Second)
		if err := r.Revoke(t.Context(), customer("wxa", "refresh_token"), time.Now()); err != nil {
			t.Fatal(err)
		}
		mustReason(t, <-errs, Reauth)
		if d.has(record.Credentials, customer("wxa", "access_token")) {
			t.Error("the token of a revoked customer is on disk")
		}
		_, err := r.get(customer("wxa", "access_token"))
		mustReason(t, err, Reauth)
	})
}

// TestARevocationWithinTheSecondOfAnAuthorization: WeChat tells whole seconds, and a grant that was handed in
// has a finer time.
func TestARevocationWithinTheSecondOfAnAuthorization(t *testing.T) {
	for _, tc := range []struct {
		name    string
		later   time.Duration // of the revocation after the second of the grant
		revoked bool
	}{
		{"the same second", 0, true},
		{"the second before", -time.Second, false},
		{"the second after", time.Second, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPlatform("wxa")
				r := start(t, Config{Catalog: p.catalog()})
				r.mustPush("ticket", time.Now())
				time.Sleep(400 * time.Millisecond)
				second := time.Now().Truncate(time.Second)
				r.mustPut(customer("wxa", "refresh_token"), "refresh")
				r.mustGet(customer("wxa", "access_token"))
				if err := r.Revoke(t.Context(), customer("wxa", "refresh_token"), second.Add(tc.later)); err != nil {
					t.Fatal(err)
				}
				_, err := r.get(customer("wxa", "access_token"))
				if got := reason(err) == Reauth; got != tc.revoked {
					t.Errorf("revoked: got %v, want %v", got, tc.revoked)
				}
				// Whoever hands a grant in after that means it.
				r.mustPut(customer("wxa", "refresh_token"), "refresh-2")
				r.mustGet(customer("wxa", "access_token"))
			})
		})
	}
}
