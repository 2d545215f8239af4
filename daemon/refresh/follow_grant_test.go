package refresh

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers"
)

// TestFollowedAuthorization: another host stores the grant of a new authorization. What was fetched
// before is dead if the customer had withdrawn the one before, which this host has not seen. It is
// fetched again, and a flight that began before does not land.
func TestFollowedAuthorization(t *testing.T) {
	name, grant := customer("wxa", "access_token"), customer("wxa", "refresh_token")
	for _, tc := range []struct {
		name   string
		source string
		with   bool // the token comes with the grant
		flight bool // one is under way
		unread bool // no client has requested the token in this run
		calls  int  // after the grant has come
		want   string
		before record.Generation // of theirs
	}{
		{"read", fromEvent, false, false, false, 1, "of theirs", record.Generation{}},
		{"unread", fromExchange, false, false, true, 1, "of theirs", record.Generation{}},
		{"under way", fromPut, false, true, false, 1, "of theirs", record.Generation{}},
		{"with a token", fromEvent, true, false, false, 0, "theirs", record.Generation{}},
		{"rotated", fromRotation, false, false, false, 0, "of mine", record.Generation{Value: "mine", Source: fromPut}},
		{"rotated since", fromRotation, false, false, false, 1, "of theirs", record.Generation{Value: "unseen", Source: fromEvent}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, wx := &peers{}, newPlatform("wxa")
				slow := time.Duration(0)
				wx.token.answers(func(_ context.Context, ask fetchers.Ask, _ int) (fetchers.Token, error) {
					value := token("of "+string(ask.Grant), twoHours)
					time.Sleep(slow)
					return value, nil
				})
				r := startPeers(t, p, Config{Catalog: wx.catalog()})
				r.mustPush("ticket", time.Now())
				r.mustPut(grant, "mine")
				r.mustGet(component)
				switch {
				case tc.unread:
					r.Follow(r.theirs(name, "dead", twoHours, 6))
				case tc.flight:
					slow = 2 * time.Second
					go r.Get(t.Context(), name)
					synctest.Wait()
				default:
					r.mustGet(name)
				}
				before := wx.token.count()
				theirs := record.Grant{Name: grant, Generation: record.Generation{Value: "theirs", At: time.Now(), Source: tc.source}, Number: 9}
				if tc.before.Value != "" {
					theirs.Earlier = []record.Generation{tc.before}
				}
				recs := []record.Record{theirs.Encode()}
				recs[0].Revision = 1000
				if tc.with {
					recs = append(recs, r.theirs(name, "theirs", twoHours, 1000))
				}
				r.Follow(recs...)
				time.Sleep(5 * time.Second)
				if got := r.mustGet(name); got != tc.want {
					t.Errorf("got %s, want %s", got, tc.want)
				}
				if n := wx.token.count() - before; n != tc.calls {
					t.Errorf("%d calls, want %d", n, tc.calls)
				}
			})
		})
	}
}

// TestAuthorizationFollowedMeanwhile: the grant of a new authorization comes from another host
// while a client makes the first request of this run for the token. The stored value is not served
// as if it were fetched with the new grant.
func TestAuthorizationFollowedMeanwhile(t *testing.T) {
	name, grant := customer("wxa", "access_token"), customer("wxa", "refresh_token")
	for _, tc := range []string{"requested while it is followed", "followed during the request"} {
		t.Run(tc, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, wx := &peers{}, newPlatform("wxa")
				r := startPeers(t, p, Config{Catalog: wx.catalog()})
				r.mustPush("ticket", time.Now())
				r.mustPut(grant, "mine")
				r.mustGet(component)
				r.Follow(r.theirs(name, "dead", twoHours, 6))
				theirs := record.Grant{Name: grant, Generation: record.Generation{Value: "theirs", At: time.Now(), Source: fromEvent}, Number: 9}.Encode()
				theirs.Revision = 1000
				var once atomic.Bool
				switch tc {
				case "requested while it is followed":
					p.set(func() {
						p.write = func(_ int, recs []record.Record) error {
							if gone := recs[0]; gone.Table == record.Credentials && gone.Key == name && gone.Value == nil && !once.Swap(true) {
								r.mustGet(name)
							}
							return nil
						}
					})
					r.Follow(theirs)
				default:
					p.set(func() {
						p.read = func(read record.Record) {
							if read.Table == record.Credentials && read.Key == name && !once.Swap(true) {
								r.Follow(theirs)
							}
						}
					})
					r.mustGet(name)
				}
				time.Sleep(5 * time.Second)
				if got := r.mustGet(name); got != "tok-1" {
					t.Errorf("got %s", got)
				}
			})
		})
	}
}

// TestRevocationFollowedUnread: the store cannot read what a grant was before another host stored
// the revocation. The revocation is in force all the same.
func TestRevocationFollowedUnread(t *testing.T) {
	name, grant := customer("wxa", "access_token"), customer("wxa", "refresh_token")
	bubble(t, func(t *testing.T) {
		p, wx := &peers{}, newPlatform("wxa")
		r := startPeers(t, p, Config{Catalog: wx.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(grant, "mine")
		r.mustGet(component)
		r.mustGet(name)
		damaged := record.Record{Table: record.Grants, Key: grant, Value: []byte{1}}
		if err := p.disk.Put(t.Context(), damaged); err != nil {
			t.Fatal(err)
		}
		theirs := record.Grant{Name: grant, Generation: record.Generation{Value: "mine", At: time.Now(), Source: fromPut}, Revoked: time.Now(), Number: 9}.Encode()
		theirs.Revision = 1000
		r.Follow(theirs)
		if _, ok := r.Cached([]byte(name)); ok {
			t.Error("a value of the revoked customer is served")
		}
		_, err := r.get(name)
		mustReason(t, err, credential.Reauth)
	})
}

// TestAuthorizationNotRevokedByOld: a customer has authorized again, and the grant is not stored
// yet. A change of the stored grant, which was revoked before, arrives. The new one stays in force.
func TestAuthorizationNotRevokedByOld(t *testing.T) {
	name := customer("wxa", "refresh_token")
	bubble(t, func(t *testing.T) {
		p, wx := &peers{}, newPlatform("wxa")
		r := startPeers(t, p, Config{Catalog: wx.catalog()})
		theirs := record.Grant{Name: name, Generation: record.Generation{Value: "old", At: time.Now(), Source: fromPut}, Revoked: time.Now(), Number: 9}
		follow := func(revision int64) {
			theirs.Number++
			rec := theirs.Encode()
			rec.Revision = revision
			r.Follow(rec)
		}
		follow(1000)
		time.Sleep(time.Minute)
		r.grants.hold(record.Grant{Name: name, Generation: record.Generation{Value: "new", At: time.Now(), Source: fromEvent}})
		follow(1001)
		if g, err := r.grants.live(name); err != nil || g.Value != "new" {
			t.Errorf("got %+v, %v", g, err)
		}
		theirs.Revoked = time.Now().Add(time.Minute)
		follow(1002)
		if g, err := r.grants.live(name); err == nil {
			t.Errorf("live after another revocation: %+v", g)
		}
	})
}

// TestRestoredValueOfWithdrawn: after the customer has withdrawn the authorization, etcd is
// restored from a backup, and with it the values of before. The customer authorizes again at this
// host. None of those values is served.
func TestRestoredValueOfWithdrawn(t *testing.T) {
	grant, ticket := customer("wxa", "refresh_token"), customer("wxa", "jsapi_ticket")
	for _, by := range []string{"code", "put"} {
		t.Run(by, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := sharedPlatform(t, &peers{}, newPlatform("wxa"))
				r.mustPut(grant, "mine")
				restored := []record.Record{r.theirs(ticket, "dead", twoHours, 7), r.theirs(customer("wxa", "access_token"), "dead", twoHours, 7)}
				time.Sleep(time.Second)
				if err := r.Revoke(t.Context(), grant, time.Now()); err != nil {
					t.Fatal(err)
				}
				r.Follow(restored...)
				time.Sleep(time.Second)
				if by == "put" {
					r.mustPut(grant, "next")
				} else if _, err := r.exchangeIn(time.Minute); err != nil {
					t.Fatal(err)
				}
				for _, rec := range restored {
					if got := r.mustGet(rec.Key); got == "dead" {
						t.Errorf("%s: got %s", rec.Key, got)
					}
				}
			})
		})
	}
}
