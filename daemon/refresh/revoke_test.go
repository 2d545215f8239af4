package refresh

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

func TestRevokedCustomerReturns(t *testing.T) {
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
				mustReason(t, err, credential.Reauth)
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

func TestRevocationDuringExchange(t *testing.T) {
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
		mustReason(t, err, credential.Reauth)
	})
}

func TestRevocationDuringFetch(t *testing.T) {
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
		mustReason(t, <-errs, credential.Reauth)
		if d.has(record.Credentials, customer("wxa", "access_token")) {
			t.Error("the token of a revoked customer is on disk")
		}
		_, err := r.get(customer("wxa", "access_token"))
		mustReason(t, err, credential.Reauth)
	})
}

// TestRevocationInSameSecond: WeChat tells whole seconds, and a grant that was
// put has a finer time.
func TestRevocationInSameSecond(t *testing.T) {
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
				if got := reason(err) == credential.Reauth; got != tc.revoked {
					t.Errorf("revoked: got %v, want %v", got, tc.revoked)
				}
				// A grant that is put after that counts.
				r.mustPut(customer("wxa", "refresh_token"), "refresh-2")
				r.mustGet(customer("wxa", "access_token"))
			})
		})
	}
}

// TestRepeatedRevocation: WeChat repeats a message that was answered too late, and its
// clock may be ahead of the host's. A customer who has come back since must not be turned away
// by it.
func TestRepeatedRevocation(t *testing.T) {
	for _, ahead := range []time.Duration{0, time.Second, 5 * time.Minute} {
		for name, comeBack := range map[string]func(r *rig) error{
			"by a PUT": func(r *rig) error {
				return r.Put(r.t.Context(), customer("wxa", "refresh_token"), "refresh-2")
			},
			"by an EXCHANGE": func(r *rig) error {
				_, err := r.Exchange(r.t.Context(), platform, "code-of-wxa")
				return err
			},
			"by an event": func(r *rig) error {
				now := time.Now()
				defer synctest.Wait()
				return r.Accept(r.t.Context(), platform, "code-of-wxa", now.Add(ahead).Truncate(time.Second), now.Add(time.Hour))
			},
		} {
			t.Run(ahead.String()+" "+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					p := newPlatform("wxa")
					r := start(t, Config{Catalog: p.catalog()})
					r.mustPush("ticket", time.Now())
					r.mustPut(customer("wxa", "refresh_token"), "refresh")
					time.Sleep(time.Hour)
					revoked := time.Now().Add(ahead).Truncate(time.Second)
					revoke := func() {
						t.Helper()
						if err := r.Revoke(t.Context(), customer("wxa", "refresh_token"), revoked); err != nil {
							t.Fatal(err)
						}
					}
					revoke()
					_, err := r.get(customer("wxa", "access_token"))
					mustReason(t, err, credential.Reauth)
					time.Sleep(300 * time.Millisecond)
					if err := comeBack(r); err != nil {
						t.Fatal(err)
					}
					r.mustGet(customer("wxa", "access_token"))
					revoke()
					r.mustGet(customer("wxa", "access_token"))
					// The customer goes again.
					time.Sleep(2 * time.Second)
					revoked = time.Now().Add(ahead).Truncate(time.Second)
					revoke()
					_, err = r.get(customer("wxa", "access_token"))
					mustReason(t, err, credential.Reauth)
				})
			})
		}
	}
}

// TestOldRevocation: of a grant that WeChat replaces with each
// token, the value that the customer gave is not among those that are kept for long.
func TestOldRevocation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		p.token.answers(func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
			tok := token(fmt.Sprintf("tok-%d", n), 2*time.Hour)
			tok.Grant = secret.Text(fmt.Sprintf("rotated-%d", n))
			return tok, nil
		})
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		before := time.Now()
		time.Sleep(time.Minute)
		r.mustPut(customer("wxa", "refresh_token"), "refresh")
		for n := range 3 * record.Generations {
			r.mustGet(customer("wxa", "access_token"))
			if err := r.Revoke(t.Context(), customer("wxa", "refresh_token"), before); err != nil {
				t.Fatal(err)
			}
			if _, err := r.get(customer("wxa", "access_token")); err != nil {
				t.Fatalf("after %d rotations: %v", n+1, err)
			}
			time.Sleep(3 * time.Hour)
			r.mustPush("ticket", time.Now())
		}
	})
}
