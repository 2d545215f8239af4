package refresh

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/fetchers"
)

// TestFollowedValue: a value that another host has fetched is served at once. Watchers are notified
// only if its text differs.
func TestFollowedValue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(twoHours)
		r := startPeers(t, &peers{}, Config{Catalog: rotatingApp(up)})
		r.mustGet(app)
		w := r.Subscribe(app)
		defer w.Close()
		time.Sleep(time.Minute)
		theirs := r.theirs(app, "theirs", twoHours, 7)
		for range 3 {
			r.Follow(theirs)
		}
		if v, ok := r.Cached([]byte(app)); !ok || v.Text != "theirs" || v.TTL != twoHours {
			t.Errorf("got %s for %v", string(v.Text), v.TTL)
		}
		if events, _ := w.Take(); len(events) != 1 || events[0].State != credential.Fresh {
			t.Errorf("got events %v, want one", events)
		}
		r.Follow(r.theirs(app, "theirs", twoHours, 8))
		if events, _ := w.Take(); len(events) != 0 {
			t.Errorf("the same text: got events %v, want none", events)
		}
		s, err := r.Status(app)
		want := credential.Shared{RefreshedBy: "there", Stored: true, Revision: 8}
		if err != nil || s.Shared == nil || *s.Shared != want {
			t.Errorf("got %+v, %v, want %+v", s.Shared, err, want)
		}
		time.Sleep(twoHours - 10*time.Minute - time.Second)
		if up.count() != 1 {
			t.Errorf("%d calls, want none before the followed value is due", up.count())
		}
		time.Sleep(2 * time.Minute)
		if up.count() != 2 {
			t.Errorf("%d calls, want the refresh of the followed value", up.count())
		}
	})
}

// TestFollowedWithoutEntry: a value is served from the first request on, without a call.
func TestFollowedWithoutEntry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, wx := &peers{}, newPlatform("wxa")
		r := startPeers(t, p, Config{Catalog: wx.catalog()})
		r.mustPut(customer("wxa", "refresh_token"), "grant")
		name := customer("wxa", "access_token")
		r.Follow(r.theirs(name, "theirs", twoHours, 7))
		if r.index.get(name) != nil {
			t.Error("an entry was made")
		}
		if got := r.mustGet(name); got != "theirs" || wx.token.count() != 0 {
			t.Errorf("got %s after %d calls", got, wx.token.count())
		}
		r.mustPush("ticket", time.Now())
		for range 12 {
			time.Sleep(10 * time.Minute)
			r.mustGet(name)
		}
		if wx.token.count() != 1 {
			t.Errorf("%d calls in two hours, want the refresh of the followed value", wx.token.count())
		}
	})
}

// TestFollowedNotServed: values of other configurations are written, and not served.
func TestFollowedNotServed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const other = "official_account/wx9/access_token"
		p, up := &peers{}, fresh(twoHours)
		r := startPeers(t, p, Config{Catalog: specs(Spec{Name: app, Policy: policy.DownstreamToken, Target: "5/1", Fetcher: up})})
		r.Follow(r.theirs(other, "theirs", twoHours, 7), r.theirs(app, "theirs", twoHours, 7))
		if _, err := r.get(other); reason(err) != credential.NotFound {
			t.Errorf("not configured: got %v", err)
		}
		if got := r.mustGet(app); got != "tok-1" {
			t.Errorf("another target: got %s", got)
		}
		r.Follow(r.theirs(app, "theirs", twoHours, 8))
		if got := r.mustGet(app); got != "tok-1" {
			t.Errorf("another target, with an entry: got %s", got)
		}
		kept := func(when string) {
			for _, name := range []string{app, other} {
				stored, _ := p.disk.Get(record.Credentials, name)
				if c, err := record.DecodeCredential(stored); err != nil || name == other && c.Value != "theirs" {
					t.Errorf("%s: stored value of %s: %+v, %v", when, name, c, err)
				}
			}
		}
		kept("followed")
		r.Follow(r.theirs(app, "theirs", twoHours, 9)) // the store keeps what was written last
		r.stop()
		r = startPeers(t, &peers{disk: p.disk}, Config{Catalog: specs(Spec{Name: app, Policy: policy.DownstreamToken, Target: "5/1", Fetcher: up})})
		kept("after a restart")
		if got := r.mustGet(app); got != "tok-2" {
			t.Errorf("another target, after a restart: got %s", got)
		}
	})
}

// TestOwnLaterValueStays: a value that could not be stored yet, and was issued later, is not
// replaced, but by the same value: WeChat has repeated it to this host.
func TestOwnLaterValueStays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := &peers{claim: func(int, Want) error { return ErrUnconfirmed }}
		p.set(func() {
			p.land = func(int, []record.Record) error { return ErrUnconfirmed }
		})
		p.set(func() {
			p.write = func(int, []record.Record) error { return &ApartError{unreachable} }
		})
		r := startPeers(t, p, Config{Catalog: repeatingApp(fresh(twoHours))})
		theirs, same := r.theirs(app, "theirs", twoHours, 7), r.theirs(app, "tok-1", time.Hour, 8)
		time.Sleep(time.Minute)
		r.mustGet(app)
		if r.Follow(theirs); r.mustGet(app) != "tok-1" {
			t.Errorf("got %s", r.mustGet(app))
		}
		r.Follow(same)
		if v, _ := r.Cached([]byte(app)); v.TTL != 59*time.Minute {
			t.Errorf("the same value lives %v, want what is left of an hour", v.TTL)
		}
		time.Sleep(time.Minute)
		if r.Follow(r.theirs(app, "later", twoHours, 9)); r.mustGet(app) != "later" {
			t.Errorf("got %s, want the value issued last", r.mustGet(app))
		}
	})
}

// TestDoubtDue: a call without an answer is repeated: at once by the first host, later by the
// others and after more tries, for a customer that nobody reads too.
func TestDoubtDue(t *testing.T) {
	for name, tc := range map[string]struct {
		place, tries int
		entry        bool
		after        time.Duration
	}{
		"first":                {0, 1, true, 0},
		"third":                {2, 1, true, 4 * time.Second},
		"again":                {0, 2, true, 30 * time.Second},
		"often":                {1, 9, true, 5*time.Minute + 2*time.Second},
		"first, without entry": {0, 1, false, 0},
		"third, without entry": {2, 1, false, 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, wx := &peers{place: tc.place, of: 3}, newPlatform("wxa")
				r := startPeers(t, p, Config{Catalog: wx.catalog()})
				r.mustPush("ticket", time.Now())
				r.mustPut(customer("wxa", "refresh_token"), "grant")
				r.mustGet(component)
				name := customer("wxa", "access_token")
				if tc.entry {
					r.mustGet(name)
					time.Sleep(time.Hour) // nobody reads it any more
				}
				before := wx.token.count()
				r.Follow(claimOf(name, record.Doubtful, tc.tries))
				if s, err := r.Status(name); err != nil || !s.Shared.Doubt {
					t.Errorf("status: got %+v, %v", s.Shared, err)
				}
				if tc.after > 0 {
					time.Sleep(tc.after - time.Millisecond)
					synctest.Wait()
					if n := wx.token.count() - before; n != 0 {
						t.Errorf("%d calls before", n)
					}
				}
				time.Sleep(time.Millisecond)
				synctest.Wait()
				if n := wx.token.count() - before; n != 1 {
					t.Errorf("%d calls, want one", n)
				}
				r.Follow(record.Record{Table: record.Claims, Key: name, Revision: 12})
				if s, err := r.Status(name); err != nil || s.Shared.Doubt {
					t.Errorf("status: got %+v, %v", s.Shared, err)
				}
			})
		})
	}
}

// TestDoubtSurvivesFailure: while there is a doubt, a customer's credential does not lapse.
func TestDoubtSurvivesFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, wx := &peers{}, newPlatform("wxa")
		r := startPeers(t, p, Config{Catalog: wx.catalog()})
		r.mustPush("ticket", time.Now())
		r.mustPut(customer("wxa", "refresh_token"), "grant")
		r.mustGet(component)
		wx.token.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return fetchers.Token{}, away() })
		name := customer("wxa", "access_token")
		r.Follow(claimOf(name, record.Doubtful, 1))
		time.Sleep(time.Hour)
		if n := wx.token.count(); n < 60 {
			t.Errorf("%d calls in an hour, want one in each minute at least", n)
		}
	})
}

// TestFollowedRevocation: what lives by a grant that was taken back at another host is gone.
func TestFollowedRevocation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, wx := &peers{}, newPlatform("wxa")
		r := startPeers(t, p, Config{Catalog: wx.catalog()})
		r.mustPush("ticket", time.Now())
		grant, name := customer("wxa", "refresh_token"), customer("wxa", "access_token")
		r.mustPut(grant, "grant")
		r.mustGet(name)
		w := r.Subscribe(grant)
		defer w.Close()
		g, err := r.grants.get(grant)
		if err != nil {
			t.Fatal(err)
		}
		g.Revoked = time.Now()
		rec := g.Encode()
		rec.Revision = 9
		r.Follow(rec)
		if _, ok := r.Cached([]byte(name)); ok {
			t.Error("the token is served")
		}
		_, err = r.get(name)
		mustReason(t, err, credential.Reauth)
		if p.disk.has(record.Credentials, name) {
			t.Error("the token is still on disk")
		}
		if events, _ := w.Take(); len(events) != 1 || events[0].State != credential.Held {
			t.Errorf("got events %v", events)
		}
		g.Replace(record.Generation{Value: "again", At: time.Now(), Source: fromEvent})
		rec = g.Encode()
		rec.Revision = 10
		r.Follow(rec)
		if r.mustGet(name); wx.token.count() != 2 {
			t.Errorf("%d calls, want one with the new grant", wx.token.count())
		}
	})
}

// TestFollowedHold: WeChat's refusal of another host because of the account holds this one, until
// the hold is deleted. Holds that concern one host alone do not.
func TestFollowedHold(t *testing.T) {
	hold := func(r *rig, class fetchers.Reaction, reason credential.Reason, pause time.Duration) record.Record {
		now := r.clock.Now()
		rec := r.keepHold(app, &hold{reason: reason, class: class, message: "errcode=1", failures: 2, since: now, until: now.Add(pause)})
		rec.Revision = 9
		return rec
	}
	for name, tc := range map[string]struct {
		class  fetchers.Reaction
		reason credential.Reason
		holds  bool
	}{
		"account":   {fetchers.Misconfigured, credential.Refused, true},
		"quota":     {fetchers.QuotaMinute, credential.Limited, true},
		"address":   {fetchers.AddressRefused, credential.Refused, false},
		"transport": {0, credential.Unreachable, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				up := fresh(time.Minute)
				r := startPeers(t, &peers{}, Config{Catalog: repeatingApp(up)})
				r.mustGet(app)
				r.Follow(hold(r, tc.class, tc.reason, time.Hour))
				time.Sleep(2 * time.Minute)
				if _, err := r.get(app); (reason(err) == tc.reason) != tc.holds {
					t.Errorf("got %v", err)
				}
				r.Follow(record.Record{Table: record.Holds, Key: app, Revision: 10})
				synctest.Wait()
				r.mustGet(app)
			})
		})
	}
	t.Run("own lasts longer", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			up := &upstream{answer: func(context.Context, fetchers.Ask, int) (fetchers.Token, error) {
				return fetchers.Token{}, refusal(40164, fetchers.AddressRefused)
			}}
			r := startPeers(t, &peers{}, Config{Catalog: repeatingApp(up)})
			_, err := r.get(app)
			mustReason(t, err, credential.Refused)
			r.Follow(hold(r, fetchers.QuotaMinute, credential.Limited, time.Minute))
			_, err = r.get(app)
			mustReason(t, err, credential.Refused)
			r.Follow(record.Record{Table: record.Holds, Key: app, Revision: 10})
			_, err = r.get(app)
			mustReason(t, err, credential.Refused)
		})
	})
}

// TestFollowedBudget: what all hosts have spent bounds the calls of each.
func TestFollowedBudget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(twoHours)
		r := startPeers(t, &peers{}, Config{Catalog: rotatingApp(up)})
		now := r.moment(r.clock.Now())
		rec := record.Budget{Key: app + "#token", Window: day, Boot: "boot@here", Slices: []record.Slice{{First: now, Last: now, Calls: 1900}}}.Encode()
		rec.Revision = 3
		r.Follow(rec)
		_, err := r.get(app)
		mustReason(t, err, credential.Limited)
		if up.count() != 0 {
			t.Errorf("%d calls", up.count())
		}
	})
}

// TestForeignBoot: a record of another host ends by the bounds of its clock, or by the wall clock
// less ten seconds if no host has met its boot, and never later than it had left.
func TestForeignBoot(t *testing.T) {
	for name, tc := range map[string]struct {
		met  bool
		wall time.Duration // that the other host's is ahead
		want time.Duration
	}{
		"met":                     {true, 0, time.Hour - 2*time.Second},
		"met, wall clock ahead":   {true, time.Hour, time.Hour - 2*time.Second},
		"unmet":                   {false, 0, time.Hour - 10*time.Second},
		"unmet, wall clock ahead": {false, time.Hour, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := &peers{offsets: map[string][2]time.Duration{}}
				r := startPeers(t, p, Config{Catalog: rotatingApp(fresh(twoHours))})
				// The other host has booted 100 s later.
				if tc.met {
					p.offsets["boot@there"] = [2]time.Duration{98 * time.Second, 103 * time.Second}
				}
				now := time.Duration(r.clock.Now()) - 100*time.Second
				at := func(d time.Duration) record.Moment {
					return record.Moment{Wall: time.Now().Add(tc.wall + d), Since: now + d}
				}
				rec := record.Credential{Name: app, Value: "theirs", Boot: "boot@there", Issued: at(0), Seen: at(0), End: at(time.Hour), Life: time.Hour, By: "there", Call: "c"}.Encode()
				rec.Revision = 5
				r.Follow(rec)
				r.mustGet(app)
				if v, ok := r.Cached([]byte(app)); !ok || v.Text != "theirs" || v.TTL != tc.want {
					t.Errorf("got %s for %v, want %v", string(v.Text), v.TTL, tc.want)
				}
				stored, _ := p.disk.Get(record.Credentials, app)
				c, err := record.DecodeCredential(stored)
				if err != nil || c.Boot != "boot@here" || c.By != "there" || c.Call != "c" || stored.Revision != 5 {
					t.Errorf("stored: got %+v, revision %d, %v", c, stored.Revision, err)
				}
				until := record.Hold{Name: app, Reason: uint8(credential.Limited), Cause: uint8(fetchers.QuotaMinute), Boot: "boot@there", Since: at(0), Until: at(time.Minute)}.Encode()
				until.Revision = 6
				r.Follow(until)
				want := time.Minute
				if tc.met {
					want = 63 * time.Second // the later bound, but no longer than it was
				}
				if h := r.index.get(app).hold; h == nil || h.until.Sub(r.clock.Now()) != min(want, time.Minute) {
					t.Errorf("hold: got %+v", h)
				}
			})
		})
	}
}

// TestFollowedWhileLoading: what is followed before the store is loaded is in force afterwards.
func TestFollowedWhileLoading(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, up := newDisk(), fresh(twoHours)
		r := startPeers(t, &peers{disk: d}, Config{Catalog: rotatingApp(up)})
		r.mustGet(app)
		r.stop()
		d.walk = make(chan struct{})
		r = startPeers(t, &peers{disk: d}, Config{Catalog: rotatingApp(up), Ahead: true})
		synctest.Wait()
		r.Follow(r.theirs(app, "theirs", twoHours, 7), claimOf(app, record.Calling, 0))
		close(d.walk)
		<-r.Loaded()
		if got := r.mustGet(app); got != "theirs" {
			t.Errorf("got %s", got)
		}
		if s, err := r.Status(app); err != nil || s.Shared.ClaimedBy != "there" {
			t.Errorf("got %+v, %v", s.Shared, err)
		}
	})
}
