package refresh

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// TestAuthorizationOrder: messages overtake each other and clocks disagree. What comes late takes
// nothing back of an authorization that is later.
func TestAuthorizationOrder(t *testing.T) {
	grant := customer("wxa", "refresh_token")
	for name, late := range map[string]func(r *rig, stamp time.Time) error{
		"event": func(r *rig, stamp time.Time) error {
			defer synctest.Wait()
			return r.Accept(r.t.Context(), platform, "late", stamp, stamp.Add(time.Hour))
		},
		"exchange": func(r *rig, _ time.Time) error {
			_, err := r.Exchange(r.t.Context(), platform, "late")
			return err
		},
		"put": func(r *rig, _ time.Time) error { return r.Put(r.t.Context(), grant, "grant-late") },
		"import": func(r *rig, _ time.Time) error {
			_, err := r.Import(r.t.Context(), platform, 0)
			return err
		},
		"rotations": func(r *rig, _ time.Time) error {
			for range 2 * record.Generations {
				if _, err := r.Refresh(r.t.Context(), customer("wxa", "access_token")); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPlatform("wxa")
				p.exchange = func(_ context.Context, _, code secret.Text) (fetchers.Authorization, error) {
					return fetchers.Authorization{Child: "wxa", Grant: "grant-" + code}, nil
				}
				p.list = func(int, int) (fetchers.AuthorizerPage, error) {
					return fetchers.AuthorizerPage{Total: 1, Authorizers: []fetchers.ListedAuthorizer{{AppID: "wxa", RefreshToken: "grant-late"}}}, nil
				}
				p.token.answers(rotating)
				d := newDisk()
				r := start(t, Config{Store: d, Catalog: p.catalog()})
				r.mustPush("ticket", time.Now())
				now := time.Now().Truncate(time.Second)
				at := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
				if err := r.Accept(t.Context(), platform, "early", at(4), at(3600)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if err := late(r, at(2)); err != nil {
					t.Fatal(err)
				}
				if err := r.Revoke(t.Context(), grant, at(3)); err != nil {
					t.Fatal(err)
				}
				r.mustGet(customer("wxa", "access_token"))
				r.stop()
				r = start(t, Config{Store: d, Catalog: p.catalog()})
				if err := r.Revoke(t.Context(), grant, at(3)); err != nil {
					t.Fatal(err)
				}
				r.mustGet(customer("wxa", "access_token"))
				if err := r.Revoke(t.Context(), grant, at(5)); err != nil {
					t.Fatal(err)
				}
				_, err := r.get(customer("wxa", "access_token"))
				mustReason(t, err, credential.Reauth)
			})
		})
	}
}

// rotating answers a new token and a new grant each time.
func rotating(_ context.Context, ask fetchers.Ask, n int) (fetchers.Token, error) {
	tok := token("by-"+string(ask.Grant), 2*time.Hour)
	tok.Grant = ask.Grant + "+"
	return tok, nil
}

// TestConfiguredGrantAfterRevocation: the message that told of the revocation may be repeated, and
// is history.
func TestConfiguredGrantAfterRevocation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		grant := customer("wxa", "refresh_token")
		sow := func(value secret.Text) {
			t.Helper()
			if err := r.ApplySeeds(t.Context(), []Seed{{grant, value}}); err != nil {
				t.Fatal(err)
			}
		}
		sow("one")
		revoked := time.Now().Add(time.Minute)
		for range 2 {
			if err := r.Revoke(t.Context(), grant, revoked); err != nil {
				t.Fatal(err)
			}
			sow("two")
			r.mustGet(customer("wxa", "access_token"))
		}
	})
}

// TestAnswersOvertakeEachOther: of two authorizations whose answers cross, the later one is used.
// A grant that was put while an older code was in flight stays.
func TestAnswersOvertakeEachOther(t *testing.T) {
	grant := customer("wxa", "refresh_token")
	for _, tc := range []struct {
		name      string
		slow      int // seconds of the stamp of the code whose answer comes last
		meanwhile func(r *rig, now time.Time) error
		want      secret.Text
		revoked   bool
	}{
		{"the older last", 1, nil, "grant-quick", false},
		{"the newer last", 5, nil, "grant-slow", false},
		{"put", 0, func(r *rig, _ time.Time) error { return r.Put(r.t.Context(), grant, "grant-put") }, "grant-put", false},
		{"revocation of the newer", 1, func(r *rig, now time.Time) error {
			return r.Revoke(r.t.Context(), grant, now.Add(6*time.Second))
		}, "grant-quick", true},
		{"revocation before the newer", 5, func(r *rig, now time.Time) error {
			return r.Revoke(r.t.Context(), grant, now.Add(4*time.Second))
		}, "grant-slow", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPlatform("wxa")
				p.exchange = func(_ context.Context, _, code secret.Text) (fetchers.Authorization, error) {
					if code == "slow" {
						time.Sleep(5 * time.Second)
					}
					first := token("first-"+string(code), time.Hour)
					return fetchers.Authorization{Child: "wxa", Grant: "grant-" + code, Token: &first}, nil
				}
				p.token.answers(rotating)
				d := newDisk()
				r := start(t, Config{Store: d, Catalog: p.catalog()})
				r.mustPush("ticket", time.Now())
				r.mustGet(component)
				now := time.Now()
				for _, code := range []struct {
					value   secret.Text
					seconds int
				}{{"slow", tc.slow}, {"quick", 3}} {
					at := now.Add(time.Duration(code.seconds) * time.Second)
					if err := r.AcceptFrom(t.Context(), platform, "wxa", code.value, at, now.Add(time.Hour)); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
				}
				if tc.meanwhile != nil {
					if err := tc.meanwhile(r, now); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(5 * time.Second)
				synctest.Wait()
				g, err := r.grants.get(grant)
				if err != nil || len(g.Earlier) == 0 {
					t.Fatalf("%d earlier grants, %v", len(g.Earlier), err)
				}
				if (g.Value != tc.want && g.Value != tc.want+"+") || g.Live() == tc.revoked {
					t.Errorf("in force: %q, live %v", string(g.Value), g.Live())
				}
				v, err := r.get(customer("wxa", "access_token"))
				if tc.revoked {
					mustReason(t, err, credential.Reauth)
				} else if want := "by-" + string(tc.want); v != want && v != strings.Replace(string(tc.want), "grant", "first", 1) {
					t.Errorf("served: %s, %v; want a token of %s", v, err, tc.want)
				}
			})
		})
	}
}

// TestAnswersOfOneGrantOvertake: the answers to two codes of an existing customer have the same
// grant, and a token each, and so has the answer to a refresh beside them. WeChat may have issued
// any of the tokens last, whichever arrived last, so the token is fetched again.
func TestAnswersOfOneGrantOvertake(t *testing.T) {
	for name, codes := range map[string][]secret.Text{
		"older last": {"slow", "quick"},
		"newer last": {"quick", "slow"},
		"refreshed":  {"slow"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newPlatform("wxa")
				p.exchange = func(_ context.Context, _, code secret.Text) (fetchers.Authorization, error) {
					time.Sleep(time.Second)
					if code == "slow" {
						time.Sleep(4 * time.Second)
					}
					first := token("first-"+string(code), time.Hour)
					return fetchers.Authorization{Child: "wxa", Grant: "grant", Token: &first}, nil
				}
				calls := 0
				p.token.answers(func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
					calls = n
					return token("refreshed-"+strconv.Itoa(n), time.Hour), nil
				})
				r := start(t, Config{Catalog: p.catalog()})
				r.mustPush("ticket", time.Now())
				r.mustGet(component)
				if err := r.Put(t.Context(), customer("wxa", "refresh_token"), "grant"); err != nil {
					t.Fatal(err)
				}
				before := 0
				now := time.Now()
				for i, code := range codes {
					if err := r.Accept(t.Context(), platform, code, now.Add(time.Duration(i)*time.Second), now.Add(time.Hour)); err != nil {
						t.Fatal(err)
					}
					synctest.Wait() // the call is under way
				}
				if len(codes) == 1 {
					r.mustGet(customer("wxa", "access_token"))
					before = 1
				}
				time.Sleep(6 * time.Second)
				want := "refreshed-" + strconv.Itoa(before+1)
				if got := r.mustGet(customer("wxa", "access_token")); got != want || calls != before+1 {
					t.Errorf("served after %d calls: %s, want %s, which was fetched since", calls, got, want)
				}
			})
		})
	}
}

// TestPutBesideExchange: what is put at the moment of an EXCHANGE, and written while that is in
// flight, does not stay in place of what WeChat gives for the code.
func TestPutBesideExchange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		exchange := p.exchange
		p.exchange = func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
			time.Sleep(time.Second)
			return exchange(ctx, parent, code)
		}
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		done := make(chan error, 1)
		go func() { _, err := r.Exchange(t.Context(), platform, "code-of-wxa"); done <- err }()
		synctest.Wait()
		r.mustPut(customer("wxa", "refresh_token"), "put")
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if g, err := r.grants.get(customer("wxa", "refresh_token")); err != nil || g.Value != "refresh-of-wxa" {
			t.Errorf("in force: %q, %v", string(g.Value), err)
		}
	})
}

// TestFutureGrantOutranksNothing: a grant that was given by a wall clock that has been set back
// since, and that changes while a code is in flight, does not stay in place of what WeChat gives
// for the code.
func TestFutureGrantOutranksNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, d := newPlatform("wxa"), newDisk()
		exchange := p.exchange
		p.exchange = func(ctx context.Context, parent, code secret.Text) (fetchers.Authorization, error) {
			time.Sleep(time.Second)
			return exchange(ctx, parent, code)
		}
		p.token.answers(rotating)
		grant := customer("wxa", "refresh_token")
		g := record.Grant{Name: grant}
		g.Value, g.At, g.Source = "future", time.Now().Add(10*day), fromExchange
		if err := d.Put(t.Context(), g.Encode()); err != nil {
			t.Fatal(err)
		}
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		if err := r.Accept(t.Context(), platform, "code-of-wxa", time.Now(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.mustGet(customer("wxa", "access_token")) // which rotates the grant
		time.Sleep(2 * time.Second)
		if g, err := r.grants.get(grant); err != nil || g.Value != "refresh-of-wxa+" { // it is used at once
			t.Errorf("in force: %q, %v", string(g.Value), err)
		}
	})
}
