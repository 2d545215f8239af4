package refresh

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/record"
)

// TestDoubtOutlastsValue: a value that another host has fetched without a claim does not end a
// doubt. The call is made all the same, once.
func TestDoubtOutlastsValue(t *testing.T) {
	for name, ends := range map[string]bool{"the doubt stays": false, "the doubt ends": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				up := fresh(twoHours)
				p := &peers{place: 1, of: 2}
				r := startPeers(t, p, Config{Catalog: repeatingApp(up)})
				r.mustGet(app)
				r.Follow(claimOf(app, record.Doubtful, 1))
				r.Follow(r.theirs(app, "theirs", twoHours, 10))
				if ends {
					r.Follow(record.Record{Table: record.Claims, Key: app, Revision: 12})
				}
				want := 2
				if ends {
					want = 1
				}
				for i := 0; i < 30 && up.count() < 2; i++ {
					time.Sleep(time.Second)
					synctest.Wait()
				}
				if up.count() != want {
					t.Errorf("%d calls, want %d", up.count(), want)
				}
				r.Follow(record.Record{Table: record.Claims, Key: app, Revision: 13})
				time.Sleep(time.Minute)
				if up.count() != want {
					t.Errorf("%d calls a minute later, want %d", up.count(), want)
				}
			})
		})
	}
}

// TestDoubtWithoutEntry: a doubt about what nobody requests ends although no call could be made
// when it came. While the customer's authorization is withdrawn there is no call, nor any news.
func TestDoubtWithoutEntry(t *testing.T) {
	for _, revoked := range []bool{false, true} {
		t.Run(fmt.Sprint("revoked ", revoked), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				wx := newPlatform("wxa")
				r := startPeers(t, &peers{}, Config{Catalog: wx.catalog()})
				r.mustPush("ticket", time.Now())
				name, grant := customer("wxa", "access_token"), customer("wxa", "refresh_token")
				r.mustPut(grant, "grant")
				r.mustGet(component)
				if revoked {
					time.Sleep(time.Second)
					if err := r.Revoke(t.Context(), grant, time.Now()); err != nil {
						t.Fatal(err)
					}
				}
				without := wx.catalog()
				delete(without, name)
				r.SetCatalog(without)
				r.Follow(claimOf(name, record.Doubtful, 1))
				time.Sleep(time.Minute)
				r.SetCatalog(wx.catalog())
				w := r.Subscribe(name)
				defer w.Close()
				time.Sleep(time.Minute)
				synctest.Wait()
				events, _ := w.Take()
				if n := wx.token.count(); (n == 0) != revoked || revoked && len(events) != 0 {
					t.Errorf("%d calls and %d events within a minute", n, len(events))
				}
				r.Follow(record.Record{Table: record.Claims, Key: name, Revision: 13})
			})
		})
	}
}

// TestDoubtAfterNoCall: a client requests what is in doubt for the first time, and no call can be
// made then. The call is made as soon as it can be, whether the client comes back or not.
func TestDoubtAfterNoCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, up := &peers{}, fresh(twoHours)
		p.claim = func(int, Want) error { return &ApartError{unreachable} }
		r := startPeers(t, p, Config{Catalog: specs()})
		r.Follow(claimOf(app, record.Doubtful, 1))
		r.SetCatalog(rotatingApp(up))
		if _, err := r.get(app); err == nil {
			t.Fatal("got a value")
		}
		p.set(func() { p.claim = nil })
		time.Sleep(time.Minute)
		synctest.Wait()
		if up.count() == 0 {
			t.Error("no call within a minute")
		}
		r.Follow(record.Record{Table: record.Claims, Key: app, Revision: 13})
	})
}

// TestManyDoubts: an outage of WeChat leaves every customer's token in doubt. A look at all doubts
// takes time in proportion to their number.
func TestManyDoubts(t *testing.T) {
	e, err := New(Config{Store: newDisk(), Catalog: specs()})
	if err != nil {
		t.Fatal(err)
	}
	const n = 30_000
	for i := range n {
		name := customer(fmt.Sprintf("wx%08d", i), "access_token")
		e.claims.note(name, record.Claim{Name: name, Table: record.Credentials, State: record.Doubtful, Host: "there", Tries: 1})
	}
	began := time.Now()
	if all := e.remind(e.remind(nil)); len(all) != n {
		t.Errorf("%d doubts", len(all))
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %v", took)
	}
}
