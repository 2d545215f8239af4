package refresh

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// TestClaimOfEachFlight: a flight claims and lands, and its budgets are stored with the claim.
func TestClaimOfEachFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, up := &peers{}, fresh(twoHours)
		r := startPeers(t, p, Config{Catalog: rotatingApp(up)})
		if got := r.mustGet(app); got != "tok-1" {
			t.Errorf("got %s", got)
		}
		if !p.disk.has(record.Budgets, app+"#token") {
			t.Error("the call is not counted")
		}
		time.Sleep(twoHours)
		if got := r.mustGet(app); got != "tok-2" {
			t.Errorf("after two hours: got %s", got)
		}
		want := Want{Table: record.Credentials, Name: app, Rotates: true}
		if len(p.wants) != 2 || p.wants[0] != want || len(p.lands) != 2 || len(p.gives) != 0 {
			t.Errorf("got wants %+v, %d landings, given back %v", p.wants, len(p.lands), p.gives)
		}
	})
}

// TestNewerValueEndsFlight: a value that another host has fetched in the meantime is served without
// a call, and the charge is taken back.
func TestNewerValueEndsFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, up := &peers{}, fresh(twoHours)
		r := startPeers(t, p, Config{Catalog: rotatingApp(up)})
		p.set(func() {
			p.claim = func(int, Want) error { return newerOf(r.theirs(app, "theirs", twoHours, 7)) }
		})
		if got := r.mustGet(app); got != "theirs" || up.count() != 0 {
			t.Errorf("got %s after %d calls, want theirs after none", got, up.count())
		}
		if c, _ := p.disk.Get(record.Credentials, app); c.Revision != 7 {
			t.Errorf("stored revision: got %d, want 7", c.Revision)
		}
		if n := r.ledger.Get(app + "#token").Calls(); n != 0 {
			t.Errorf("charged: got %d calls, want none", n)
		}
	})
}

// TestRejectOnceWithPeers: a rejected value is not fetched again if another host has done so.
func TestRejectOnceWithPeers(t *testing.T) {
	for name, arrives := range map[string]string{"by the claim": "claim", "before the claim": "follow"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, up := &peers{}, fresh(twoHours)
				r := startPeers(t, p, Config{Catalog: rotatingApp(up)})
				r.mustGet(app)
				p.set(func() {
					p.claim = func(n int, _ Want) error {
						if arrives == "claim" {
							return newerOf(r.theirs(app, "theirs", twoHours, 7))
						}
						return &TakenError{"there"}
					}
				})
				if arrives == "follow" {
					go func() {
						time.Sleep(time.Second / 2)
						r.Follow(r.theirs(app, "theirs", twoHours, 7))
					}()
				}
				v, err := r.Reject(t.Context(), app, "tok-1")
				if err != nil || v.Text != "theirs" || up.count() != 1 {
					t.Errorf("got %s, %v after %d calls, want theirs after one", string(v.Text), err, up.count())
				}
			})
		})
	}
}

// TestTakenClaim: while another host calls, a client waits for its value, for a second at most if
// WeChat repeats it. The schedule tries again two seconds later.
func TestTakenClaim(t *testing.T) {
	taken := func(_ int, w Want) error {
		if w.Alone {
			return nil
		}
		return &TakenError{"there"}
	}
	t.Run("repeats", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := &peers{claim: taken}
			r := startPeers(t, p, Config{Catalog: repeatingApp(fresh(twoHours))})
			began := time.Now()
			if got := r.mustGet(app); got != "tok-1" || time.Since(began) != time.Second {
				t.Errorf("got %s after %v, want a value after a second", got, time.Since(began))
			}
		})
	})
	t.Run("rotates", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p, up := &peers{claim: taken}, fresh(twoHours)
			r := startPeers(t, p, Config{Catalog: rotatingApp(up)})
			ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
			defer cancel()
			_, err := r.Get(ctx, app)
			if e := mustReason(t, err, credential.Unreachable); e.Message != "host there is fetching the credential: no answer within 7 s" {
				t.Errorf("got %q", e.Message)
			}
			p.mu.Lock()
			p.claim = nil // the host has given up
			p.mu.Unlock()
			if got := r.mustGet(app); got != "tok-1" {
				t.Errorf("got %s", got)
			}
		})
	})
	t.Run("schedule", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p, up := &peers{}, fresh(twoHours)
			r := startPeers(t, p, Config{Catalog: rotatingApp(up)})
			r.mustGet(app)
			p.set(func() {
				p.claim = taken
			})
			time.Sleep(twoHours - 9*time.Minute) // due for about a minute
			if n := p.claims() - 1; n < 10 || n > 40 || up.count() != 1 {
				t.Errorf("%d tries and %d calls, want a try every two seconds and no further call", n, up.count())
			}
			r.mustState(app, credential.Fresh)
		})
	})
}

// TestLandingOutcomes: what the peers say of a landing decides what is served, and what becomes of
// the claim.
func TestLandingOutcomes(t *testing.T) {
	type outcome struct {
		value string
		calls int
	}
	for name, tc := range map[string]struct {
		land func(r *rig, n int) error
		want outcome
	}{
		"renewed": {func(_ *rig, n int) error {
			if n > 1 {
				return nil
			}
			return newerOf(record.Budget{Key: app + "#token", Window: day, Boot: "boot@here"}.Encode())
		}, outcome{"tok-1", 1}},
		"overtaken": {func(r *rig, n int) error {
			return &NewerError{ErrOvertaken, []record.Record{r.theirs(app, "theirs", twoHours, 8)}}
		}, outcome{"theirs", 1}},
		"unconfirmed": {func(*rig, int) error { return ErrUnconfirmed }, outcome{"tok-1", 1}},
		"disk":        {func(*rig, int) error { return errors.New("disk full") }, outcome{"tok-1", 1}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, up := &peers{}, fresh(twoHours)
				r := startPeers(t, p, Config{Catalog: rotatingApp(up)})
				p.set(func() {
					p.land = func(n int, _ []record.Record) error { return tc.land(r, n) }
				})
				if got := (outcome{r.mustGet(app), up.count()}); got != tc.want {
					t.Errorf("got %+v, want %+v", got, tc.want)
				}
				synctest.Wait()
				if len(p.given()) != 0 {
					t.Errorf("given back after a landing: %v", p.given())
				}
			})
		})
	}
}

// TestGivenBack: a claim without an answer is given back. sent says whether a call may have been
// sent: a refusal of a later call does not clear it.
func TestGivenBack(t *testing.T) {
	lost := &fetchers.TransportError{Endpoint: "/cgi-bin/token", Err: errors.New("reset"), Sent: true}
	unsent := &fetchers.TransportError{Endpoint: "/cgi-bin/token", Err: errors.New("refused")}
	again := &fetchers.TransportError{Endpoint: "/cgi-bin/token", Err: errors.New("reset"), Sent: true, Repeat: 1}
	for name, tc := range map[string]struct {
		answers []error
		sent    []bool
		lands   int // holds
		policy  *policy.Policy
	}{
		"not sent":                    {[]error{unsent}, []bool{false}, 0, policy.RotatingToken},
		"no answer":                   {[]error{lost}, []bool{true}, 0, policy.RotatingToken},
		"no answer of what repeats":   {[]error{lost}, []bool{false}, 0, policy.StableToken},
		"refused after no answer":     {[]error{again, refusal(40125, fetchers.Misconfigured)}, []bool{true}, 0, policy.RotatingToken},
		"refused":                     {[]error{refusal(40125, fetchers.Misconfigured)}, nil, 1, policy.RotatingToken},
		"address refused":             {[]error{refusal(40164, fetchers.AddressRefused)}, []bool{false}, 0, policy.RotatingToken},
		"timeout":                     {[]error{context.DeadlineExceeded}, []bool{true}, 0, policy.RotatingToken},
		"panic":                       {[]error{errPanic}, []bool{true}, 0, policy.RotatingToken},
		"a value dead on its arrival": {[]error{nil}, []bool{true}, 0, policy.RotatingToken},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, up := &peers{}, &upstream{}
				up.answers(func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
					switch err := tc.answers[min(n, len(tc.answers))-1]; err {
					case errPanic:
						panic("fetcher")
					case nil:
						time.Sleep(2 * time.Second)
						return token("late", time.Second), nil
					default:
						return fetchers.Token{}, err
					}
				})
				p.set(func() {
					p.give = func() error { return errors.New("etcd unreachable") } // for the log
				})
				r := startPeers(t, p, Config{Catalog: specs(Spec{Name: app, Policy: tc.policy, Fetcher: up})})
				if _, err := r.get(app); err == nil {
					t.Fatal("got a value")
				}
				synctest.Wait()
				if got := p.given(); !slices.Equal(got, tc.sent) || len(p.lands) != tc.lands {
					t.Errorf("given back %v, %d landings; want %v, %d", got, len(p.lands), tc.sent, tc.lands)
				}
				if hold := p.disk.has(record.Holds, app); tc.lands > 0 && !hold {
					t.Error("the hold is not stored")
				}
			})
		})
	}
}

var errPanic = errors.New("panic")

// TestFurtherCall: a further call of a flight is charged by the claim of the first, and not made if
// another host has called since.
func TestFurtherCall(t *testing.T) {
	busy := func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
		if n == 1 {
			return fetchers.Token{}, refusal(-1, fetchers.Retry)
		}
		return token("second", twoHours), nil
	}
	for name, tc := range map[string]struct {
		put          func(r *rig, n int) error
		value        string
		calls, wants int
		given        int
	}{
		"counted":     {nil, "second", 2, 1, 0},
		"unconfirmed": {func(*rig, int) error { return ErrUnconfirmed }, "second", 2, 1, 0},
		"renewed": {func(r *rig, n int) error {
			if n > 1 {
				return nil
			}
			return newerOf(record.Budget{Key: app + "#token", Window: day, Boot: "boot@here"}.Encode())
		}, "second", 2, 1, 0},
		"overtaken": {func(r *rig, n int) error {
			return &NewerError{ErrOvertaken, []record.Record{r.theirs(app, "theirs", twoHours, 8)}}
		}, "theirs", 1, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, up := &peers{}, &upstream{answer: busy}
				r := startPeers(t, p, Config{Catalog: rotatingApp(up)})
				if tc.put != nil {
					p.set(func() {
						p.put = func(n int) error { return tc.put(r, n) }
					})
				}
				if got := r.mustGet(app); got != tc.value || up.count() != tc.calls {
					t.Errorf("got %s after %d calls, want %s after %d", got, up.count(), tc.value, tc.calls)
				}
				synctest.Wait()
				if p.claims() != tc.wants || len(p.given()) != tc.given {
					t.Errorf("%d claims, given back %v; want %d, %d", p.claims(), p.given(), tc.wants, tc.given)
				}
			})
		})
	}
}

// TestTooLateForCall: a call that might take longer than its permission lasts is not begun.
func TestTooLateForCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, up := &peers{until: time.Second}, fresh(twoHours)
		r := startPeers(t, p, Config{Catalog: rotatingApp(up), Timeout: 5 * time.Second})
		_, err := r.get(app)
		mustReason(t, err, credential.Unreachable)
		if up.count() != 0 || p.claims() < 2 || slices.Contains(p.given(), true) {
			t.Errorf("%d calls, %d claims, given back %v", up.count(), p.claims(), p.given())
		}
		p.set(func() {
			p.until = time.Minute
		})
		if got := r.mustGet(app); got != "tok-1" {
			t.Errorf("got %s", got)
		}
	})
}

// TestChangePreparedAgain: a change that meets newer records is prepared again from them.
func TestChangePreparedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, wx := &peers{}, newPlatform("wxa")
		r := startPeers(t, p, Config{Catalog: wx.catalog()})
		grant := customer("wxa", "refresh_token")
		theirs := record.Grant{Name: grant, Generation: record.Generation{Value: "theirs", At: time.Now(), Source: fromPut}, Number: 4}.Encode()
		theirs.Revision = 11
		p.set(func() {
			p.write = func(n int, recs []record.Record) error {
				if n < 3 {
					return newerOf(theirs)
				}
				return nil
			}
		})
		r.mustPut(grant, "mine")
		got, err := r.grants.get(grant)
		if err != nil || got.Value != "mine" || len(got.Earlier) != 1 || got.Earlier[0].Value != "theirs" || got.Number != 4 {
			t.Errorf("got %+v, %v", got, err)
		}
		p.set(func() {
			p.write = func(int, []record.Record) error { return newerOf(theirs) }
		})
		mustReason(t, r.Put(t.Context(), grant, "never"), credential.Unreachable)
	})
}

// TestGrantNotStoredApart: a grant is not accepted while it cannot be stored for all hosts.
func TestGrantNotStoredApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, wx := &peers{}, newPlatform("wxa")
		r := startPeers(t, p, Config{Catalog: wx.catalog()})
		p.set(func() {
			p.write = func(int, []record.Record) error { return errors.Join(ErrUnconfirmed, &ApartError{unreachable}) }
		})
		err := r.Put(t.Context(), customer("wxa", "refresh_token"), "mine")
		if e := mustReason(t, err, credential.Unreachable); e.Message != "etcd unreachable: nothing stored" || e.RetryAfter != 5*time.Second {
			t.Errorf("got %q, retry after %v", e.Message, e.RetryAfter)
		}
		if g, err := r.grants.get(customer("wxa", "refresh_token")); err != nil || g.Value != "" {
			t.Errorf("got %+v, %v", g, err)
		}
	})
}

// TestOfferedGrantUsed: if WeChat refuses the grant in force, the grant of an answer that could not
// be stored in time is used, before WeChat's list is asked.
func TestOfferedGrantUsed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, wx := &peers{}, newPlatform("wxa")
		wx.recover = func(context.Context, secret.Text) (secret.Text, error) {
			t.Error("the list was asked")
			return "", nil
		}
		wx.token.answers(func(_ context.Context, ask fetchers.Ask, n int) (fetchers.Token, error) {
			if ask.Grant != "offered" {
				return fetchers.Token{}, refusal(61023, fetchers.GrantRefused)
			}
			return token("tok", twoHours), nil
		})
		r := startPeers(t, p, Config{Catalog: wx.catalog()})
		r.mustPush("ticket", time.Now())
		name := customer("wxa", "refresh_token")
		g := record.Grant{Name: name, Generation: record.Generation{Value: "dead", At: time.Now(), Source: fromEvent}}
		g.Earlier = []record.Generation{{Value: "older", At: time.Now(), Source: fromPut}, {Value: "offered", At: time.Now(), Source: fromOffer}}
		rec := g.Encode()
		rec.Revision = 5
		r.Follow(rec)
		if got := r.mustGet(customer("wxa", "access_token")); got != "tok" {
			t.Errorf("got %s", got)
		}
		synctest.Wait() // the client is answered before the grant is put in force
		got, err := r.grants.get(name)
		if err != nil || got.Value != "offered" || got.Source != fromAnswer || len(got.Earlier) != 2 || got.Earlier[0].Value != "dead" {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// TestGrantOfOvertakenAnswerUsed: another host stores a grant during a call that brings one. The
// grant of the answer counts if WeChat refuses the other.
func TestGrantOfOvertakenAnswerUsed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, wx := &peers{}, newPlatform("wxa")
		r := startPeers(t, p, Config{Catalog: wx.catalog()})
		r.mustPush("ticket", time.Now())
		name := customer("wxa", "refresh_token")
		r.mustPut(name, "first")
		wx.token.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
			got := token("tok", twoHours)
			got.Grant = "answered"
			return got, nil
		})
		p.set(func() {
			once := false
			p.land = func(_ int, recs []record.Record) error {
				if once || recs[len(recs)-1].Table != record.Grants {
					return nil
				}
				once = true
				theirs := record.Grant{Name: name, Generation: record.Generation{Value: "theirs", At: time.Now(), Source: fromRotation}, Number: 7}
				rec := theirs.Encode()
				rec.Revision = 1000
				return newerOf(rec)
			}
		})
		r.mustGet(customer("wxa", "access_token"))
		g, err := r.grants.get(name)
		if err != nil || g.Value != "theirs" || len(g.Earlier) == 0 || g.Earlier[0].Value != "answered" || g.Earlier[0].Source != fromOffer {
			t.Errorf("got %+v, %v", g, err)
		}
	})
}
