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
	}{
		{"read", fromEvent, false, false, false, 1, "of theirs"},
		{"unread", fromExchange, false, false, true, 1, "of theirs"},
		{"under way", fromPut, false, true, false, 1, "of theirs"},
		{"with a token", fromEvent, true, false, false, 0, "theirs"},
		{"rotated", fromRotation, false, false, false, 0, "of mine"},
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
