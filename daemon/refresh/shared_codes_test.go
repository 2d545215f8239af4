package refresh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// sharedPlatform is an engine with the peers p and a platform with a ticket, whose customer is wxa.
func sharedPlatform(t *testing.T, p *peers, wx *platformOf) *rig {
	t.Helper()
	r := startPeers(t, p, Config{Catalog: wx.catalog()})
	r.mustPush("ticket", time.Now())
	r.mustGet(component)
	return r
}

// codeRecord returns the record of the code of wxa, which WeChat has sent to another host now.
func (r *rig) codeRecord(life time.Duration) record.Record {
	now := r.clock.Now()
	rec := r.keepCode(&exchange{
		owner: platform, value: "code-of-wxa", key: r.fingerprints.code(platform, "code-of-wxa"), at: time.Now(), tries: 1,
		next: now, grant: customer("wxa", "refresh_token"),
	}, now.Add(life))
	rec.Revision = 7
	return rec
}

// spentRecord returns the record of a code that another host has exchanged.
func (r *rig) spentRecord() record.Record {
	rec := record.Spent{Owner: platform, Child: "wxa", Boot: "boot@here", Until: r.moment(r.clock.Now().Add(time.Hour))}.Encode(r.fingerprints.code(platform, "code-of-wxa"))
	rec.Revision = 8
	return rec
}

// exchangeIn returns what Exchange of wxa's code returns within d.
func (r *rig) exchangeIn(d time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), d)
	defer cancel()
	return r.Exchange(ctx, platform, "code-of-wxa")
}

// TestCodeClaimed: an exchange claims its code. It lands the grant, the first token and the settled
// code together.
func TestCodeClaimed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &peers{}
		r := sharedPlatform(t, p, newPlatform("wxa"))
		before := len(p.lands)
		if name, err := r.exchangeIn(time.Minute); err != nil || name != platform+"/wxa" {
			t.Fatalf("got %s, %v", name, err)
		}
		want := Want{Table: record.Codes, Name: r.fingerprints.code(platform, "code-of-wxa"), Rotates: true}
		if got := p.wants[len(p.wants)-1]; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if len(p.lands) != before+1 {
			t.Fatalf("%d landings, want one", len(p.lands)-before)
		}
		for _, table := range []record.Table{record.Grants, record.Credentials, record.Exchanged} {
			if !slices.ContainsFunc(p.lands[before], func(r record.Record) bool { return r.Table == table && r.Value != nil }) {
				t.Errorf("landed without a record of table %s", table)
			}
		}
	})
}

// TestSettledCode: a code that another host has exchanged is not sent to WeChat.
func TestSettledCode(t *testing.T) {
	for name, settle := range map[string]func(r *rig, p *peers){
		"before": func(r *rig, _ *peers) { r.Follow(r.spentRecord()) },
		"by the claim": func(r *rig, p *peers) {
			p.set(func() { p.claim = func(int, Want) error { return newerOf(r.spentRecord()) } })
		},
		"while it waits": func(r *rig, p *peers) {
			p.set(func() { p.claim = func(int, Want) error { return &TakenError{"there"} } })
			go func() {
				time.Sleep(2 * time.Second)
				r.Follow(r.spentRecord())
			}()
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, wx := &peers{}, newPlatform("wxa")
				calls := wx.counted(nil)
				r := sharedPlatform(t, p, wx)
				settle(r, p)
				if name, err := r.exchangeIn(time.Minute); err != nil || name != platform+"/wxa" || calls() != 0 {
					t.Errorf("got %s, %v after %d calls", name, err, calls())
				}
				r.mustAccept("wxa", "code-of-wxa", time.Hour) // the event comes, too
				synctest.Wait()
				if calls() != 0 {
					t.Errorf("%d calls", calls())
				}
			})
		})
	}
}

// TestFollowedCode: a code that WeChat has sent to another host is taken up in turn, and left when
// that host has settled it or given it up.
func TestFollowedCode(t *testing.T) {
	t.Run("taken up", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			wx := newPlatform("wxa")
			calls := wx.counted(nil)
			r := sharedPlatform(t, &peers{place: 2, of: 3}, wx)
			r.Follow(r.codeRecord(time.Hour))
			time.Sleep(4*time.Second - time.Millisecond)
			if calls() != 0 {
				t.Error("not in turn")
			}
			_, err := r.get(customer("wxa", "access_token"))
			mustReason(t, err, credential.Unreachable) // its customer is being authorized
			time.Sleep(time.Second)
			if got := r.mustGet(customer("wxa", "access_token")); got != "first-wxa" || calls() != 1 {
				t.Errorf("got %s after %d calls", got, calls())
			}
		})
	})
	for name, end := range map[string]func(r *rig) record.Record{
		"settled": (*rig).spentRecord,
		"given up": func(r *rig) record.Record {
			return record.Record{Table: record.Codes, Key: r.fingerprints.code(platform, "code-of-wxa"), Revision: 9}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				wx := newPlatform("wxa")
				calls := wx.counted(nil)
				r := sharedPlatform(t, &peers{place: 2, of: 3}, wx)
				r.Follow(r.codeRecord(time.Hour))
				time.Sleep(time.Second)
				r.Follow(end(r))
				time.Sleep(time.Hour)
				if calls() != 0 {
					t.Errorf("%d calls", calls())
				}
			})
		})
	}
}

// TestCodeApart: without the other hosts, a client's code is not used. A promised one is exchanged
// in the last third of its life.
func TestCodeApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, wx := &peers{}, newPlatform("wxa", "wxb")
		calls := wx.counted(nil)
		r := sharedPlatform(t, p, wx)
		p.set(func() {
			p.claim = func(_ int, w Want) error {
				if w.Rotates {
					return &ApartError{unreachable}
				}
				return ErrUnconfirmed
			}
			p.land = func(int, []record.Record) error { return ErrUnconfirmed }
			p.write = func(_ int, recs []record.Record) error {
				if recs[0].Table == record.Codes {
					return nil // stored here, and offered
				}
				return &ApartError{unreachable}
			}
		})
		_, err := r.exchangeIn(time.Minute)
		if e := mustReason(t, err, credential.Unreachable); e.Message != "etcd unreachable: the code was not used" || e.RetryAfter != 5*time.Second || calls() != 0 {
			t.Errorf("got %q, retry after %v, %d calls", e.Message, e.RetryAfter, calls())
		}
		r.mustAccept("wxb", "code-of-wxb", time.Hour)
		time.Sleep(39 * time.Minute)
		if calls() != 0 {
			t.Errorf("%d calls in two thirds of the code's life", calls())
		}
		time.Sleep(2 * time.Minute)
		if got := r.mustGet(customer("wxb", "access_token")); got != "first-wxb" || calls() != 1 {
			t.Errorf("got %s after %d calls", got, calls())
		}
		p.set(func() { p.claim, p.land, p.write = nil, nil, nil })
		time.Sleep(10 * time.Second)
		if !p.disk.has(record.Grants, customer("wxb", "refresh_token")) {
			t.Error("the grant is still not stored")
		}
	})
}

// TestCodeApartAtWrongClock is the same at a host whose wall clock is wrong. There the time of
// WeChat's message does not tell how long a code has lived.
func TestCodeApartAtWrongClock(t *testing.T) {
	for _, ahead := range []time.Duration{-2 * time.Hour, 2 * time.Hour} {
		bubble(t, func(t *testing.T) {
			p, wx := &peers{}, newPlatform("wxb")
			calls := wx.counted(nil)
			r := startPeers(t, p, Config{Catalog: wx.catalog(), Wall: func() time.Time { return time.Now().Add(ahead) }})
			r.mustPush("ticket", time.Now())
			r.mustGet(component)
			p.set(func() {
				p.claim = func(_ int, w Want) error {
					if w.Rotates {
						return &ApartError{unreachable}
					}
					return ErrUnconfirmed
				}
			})
			if err := r.Accept(t.Context(), platform, "code-of-wxb", time.Now(), r.clock.Time().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(39 * time.Minute)
			if calls() != 0 {
				t.Errorf("clock ahead by %v: %d calls in two thirds of the code's life", ahead, calls())
			}
			time.Sleep(2 * time.Minute)
			if calls() != 1 {
				t.Errorf("clock ahead by %v: %d calls in the last third of the code's life", ahead, calls())
			}
		})
	}
}

// TestCodeGivenBack: the claim of a code leaves doubt if its call had no answer and was promised,
// and ends when the code is used up.
func TestCodeGivenBack(t *testing.T) {
	lost := &fetchers.TransportError{Endpoint: "/exchange", Err: errors.New("reset"), Sent: true}
	for name, tc := range map[string]struct {
		promised bool
		err      error
		given    []bool
		lands    int
	}{
		"no answer":           {false, lost, []bool{false}, 0},
		"no answer, promised": {true, lost, []bool{true}, 0},
		"useless":             {false, refusal(61009, fetchers.CodeRefused), nil, 1},
		"useless, promised":   {true, refusal(61009, fetchers.CodeRefused), nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, wx := &peers{}, newPlatform("wxa")
				wx.counted(func() error { return tc.err })
				r := sharedPlatform(t, p, wx)
				before := len(p.lands)
				if tc.promised {
					r.mustAccept("wxa", "code-of-wxa", time.Hour)
				} else if _, err := r.exchangeIn(time.Minute); err == nil {
					t.Error("no error")
				}
				synctest.Wait()
				if got := p.given(); !slices.Equal(got, tc.given) || len(p.lands)-before != tc.lands {
					t.Errorf("given back %v, %d landings; want %v, %d", got, len(p.lands)-before, tc.given, tc.lands)
				}
				if tc.lands > 0 && p.disk.has(record.Codes, r.fingerprints.code(platform, "code-of-wxa")) {
					t.Error("the record is still there")
				}
			})
		})
	}
}

// TestCodeAtTwoHosts: a code that another host has stored first is acknowledged.
func TestCodeAtTwoHosts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, wx := &peers{}, newPlatform("wxa")
		calls := wx.counted(nil)
		r := sharedPlatform(t, p, wx)
		p.set(func() {
			p.write = func(_ int, recs []record.Record) error {
				if recs[0].Table == record.Codes {
					return newerOf(r.codeRecord(time.Hour))
				}
				return nil
			}
		})
		r.mustAccept("wxa", "code-of-wxa", time.Hour)
		synctest.Wait()
		if calls() != 1 {
			t.Errorf("%d calls, want one", calls())
		}
	})
}

// TestEndedCodeNotWritten: another host ends a code before this host writes how it stands. The
// code must not replace what is stored of it: it would stay, and another event with it could cost a
// call.
func TestEndedCodeNotWritten(t *testing.T) {
	for name, ended := range map[string]func(r *rig) record.Record{
		"settled": (*rig).spentRecord,
		"given up": func(r *rig) record.Record {
			return record.Record{Table: record.Codes, Key: r.fingerprints.code(platform, "code-of-wxa"), Revision: 9}
		},
	} {
		t.Run(name+" while the claim is given back", func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, wx := &peers{}, newPlatform("wxa")
				calls := wx.counted(func() error {
					return &fetchers.TransportError{Endpoint: "/exchange", Err: errors.New("reset"), Sent: true}
				})
				r := sharedPlatform(t, p, wx)
				p.set(func() {
					p.give = func() error {
						p.set(func() { p.write = noCode(t) })
						r.Follow(ended(r))
						return ErrUnconfirmed
					}
				})
				r.mustAccept("wxa", "code-of-wxa", time.Hour)
				time.Sleep(time.Hour)
				if len(p.given()) != 1 || calls() != 1 {
					t.Errorf("given back %v, %d calls", p.given(), calls())
				}
			})
		})
	}
	t.Run("settled while it is accepted", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p, wx := &peers{}, newPlatform("wxa")
			calls := wx.counted(nil)
			r := sharedPlatform(t, p, wx)
			p.set(func() { p.write = noCode(t) })
			spent := r.spentRecord()
			end, _ := r.locks.lock(t.Context(), spent.Key) // as Follow does
			accepted := make(chan error)
			go func() {
				accepted <- r.AcceptFrom(t.Context(), platform, "wxa", "code-of-wxa", time.Now(), time.Now().Add(time.Hour))
			}()
			synctest.Wait()
			if err := r.followSpent(spent); err != nil {
				t.Error(err)
			}
			end()
			if err := <-accepted; err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if calls() != 0 {
				t.Errorf("%d calls", calls())
			}
		})
	})
}

// noCode is a write of peers that stores no code.
func noCode(t *testing.T) func(int, []record.Record) error {
	return func(_ int, recs []record.Record) error {
		if recs[0].Table == record.Codes && recs[0].Value != nil {
			t.Error("the code is written")
		}
		return nil
	}
}

// TestUnreadValueReplaced: a customer has withdrawn the authorization and has authorized again. A
// value of the first grant, which other hosts serve and nobody has read here, is fetched again,
// also if another host stores it again with other times.
func TestUnreadValueReplaced(t *testing.T) {
	for _, dated := range []bool{false, true} {
		t.Run(fmt.Sprint("stored again ", dated), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				wx, p := newPlatform("wxa"), &peers{}
				wx.exchange = func(_ context.Context, _, code secret.Text) (fetchers.Authorization, error) {
					return fetchers.Authorization{Child: "wxa", Grant: "grant-" + code}, nil
				}
				r := sharedPlatform(t, p, wx)
				name := customer("wxa", "access_token")
				r.Follow(r.theirs(name, "theirs", twoHours, 7))
				if dated {
					time.Sleep(time.Minute)
					again := r.theirs(name, "theirs", twoHours, 8)
					once := true
					p.set(func() {
						p.claim = func(_ int, w Want) error {
							if w.Name != name || !once {
								return nil
							}
							once = false
							return newerOf(again)
						}
					})
				}
				if err := r.Accept(t.Context(), platform, "code", time.Now(), time.Now().Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second)
				if got := r.mustGet(name); got != "tok-1" || wx.token.count() != 1 {
					t.Errorf("got %s after %d calls", got, wx.token.count())
				}
			})
		})
	}
}

// TestContendedGrant: other hosts change the records whenever the grant of a code is to land. The
// code is used up: the grant is in force all the same, and stored without the claim.
func TestContendedGrant(t *testing.T) {
	grant := customer("wxa", "refresh_token")
	bubble(t, func(t *testing.T) {
		p := &peers{}
		r := sharedPlatform(t, p, newPlatform("wxa"))
		p.set(func() {
			p.land = func(_ int, recs []record.Record) error {
				if slices.ContainsFunc(recs, func(r record.Record) bool { return r.Table == record.Exchanged }) {
					return newerOf()
				}
				return nil
			}
		})
		if name, err := r.exchangeIn(time.Minute); err != nil || name != platform+"/wxa" {
			t.Errorf("got %s, %v", name, err)
		}
		if g, err := r.grants.get(grant); err != nil || !g.Live() {
			t.Errorf("no grant is in force: %v", err)
		}
		stored, err := r.cfg.Store.Get(record.Grants, grant)
		if err != nil {
			t.Fatal(err)
		}
		if g, err := record.DecodeGrant(stored); err != nil || !g.Live() {
			t.Errorf("the grant is not stored: %v", err)
		}
	})
}
