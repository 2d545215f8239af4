package refresh

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// keptCustomer is a customer as a run before has left it.
type keptCustomer struct {
	child string
	boot  string              // in which its token was written
	left  time.Duration       // of its life
	grant func(*record.Grant) // changes its grant; nil for a good one
	torn  record.Table        // whose record cannot be read; "" for neither
	none  bool                // no token was kept
}

const thisBoot = "boot-2"

// bootedNow is the time since boot of a host that was booted an hour before its bubble began.
func bootedNow() func() time.Duration {
	began := time.Now().Add(-time.Hour)
	return func() time.Duration { return time.Since(began) }
}

// keep writes customers to d, and returns what they are called.
func keep(t *testing.T, d *disk, all ...keptCustomer) (children []string) {
	t.Helper()
	now := time.Now()
	for _, c := range all {
		children = append(children, c.child)
		g := record.Grant{Name: customer(c.child, "refresh_token")}
		g.Value, g.At, g.Source = "refresh", now, fromPut
		recs := []record.Record{g.Encode()}
		if c.grant != nil {
			c.grant(&g)
			recs[0] = g.Encode()
		}
		if c.torn == record.Grants {
			recs[0].Value = recs[0].Value[:2]
		}
		if !c.none {
			moment := func(at time.Time) record.Moment {
				return record.Moment{Wall: at, Since: time.Hour + at.Sub(now)}
			}
			v := record.Credential{Name: customer(c.child, "access_token"), Value: secret.Text("kept-" + c.child), Boot: c.boot,
				Issued: moment(now.Add(c.left - 2*time.Hour)), End: moment(now.Add(c.left)), Life: 2 * time.Hour}
			v.Seen = v.Issued
			r := v.Encode()
			if c.torn == record.Credentials {
				r.Value = r.Value[:5]
			}
			recs = append(recs, r)
		}
		if err := d.Put(t.Context(), recs...); err != nil {
			t.Fatal(err)
		}
	}
	return children
}

// TestReadsWhileLoading holds that what is in force for certain is served although nothing has been
// loaded yet, that a name that there is not is refused at once, and that whatever else is asked for
// is answered when all is loaded, as an engine answers that has loaded first.
func TestReadsWhileLoading(t *testing.T) {
	revoke := func(g *record.Grant) { g.Revoked = g.At.Add(-time.Minute) }
	all := []keptCustomer{
		{child: "fresh", boot: thisBoot, left: time.Hour},
		{child: "ends", boot: thisBoot, left: time.Second},
		{child: "over", boot: thisBoot, left: -time.Second},
		{child: "before", boot: "boot-1", left: time.Hour},
		{child: "nowhere", boot: "", left: time.Hour},
		{child: "revoked", boot: thisBoot, left: time.Hour, grant: revoke},
		{child: "blank", boot: thisBoot, left: time.Hour, grant: func(g *record.Grant) { g.Value = "" }},
		{child: "halfgrant", boot: thisBoot, left: time.Hour, torn: record.Grants},
		{child: "half", boot: thisBoot, left: time.Hour, torn: record.Credentials},
		{child: "new", none: true},
	}
	early := map[string]bool{"fresh": true, "ends": true, "nobody": true}
	bubble(t, func(t *testing.T) {
		// There is no ticket, so that nothing is fetched.
		ask := func(ahead bool) (atOnce map[string]bool, got map[string]string) {
			d := newDisk()
			children := append(keep(t, d, all...), "nobody")
			if ahead {
				d.walk = make(chan struct{})
			}
			cfg := Config{Store: d, Catalog: newPlatform(children[:len(all)]...).catalog(), Boot: thisBoot, Boottime: bootedNow(), Ahead: ahead}
			r := start(t, cfg)
			defer r.stop()
			answers := make(chan [2]string, len(children))
			for _, child := range children {
				go func() {
					v, err := r.get(customer(child, "access_token"))
					answers <- [2]string{child, fmt.Sprint(v, " ", err)}
				}()
			}
			synctest.Wait()
			atOnce, got = map[string]bool{}, map[string]string{}
			for range len(answers) {
				a := <-answers
				got[a[0]], atOnce[a[0]] = a[1], true
			}
			if ahead {
				if _, err := r.get(customer("fresh", "refresh_token")); reason(err) != credential.Denied {
					t.Errorf("a grant: got %v, want it denied", err)
				}
				close(d.walk)
			}
			for len(got) < len(children) {
				a := <-answers
				got[a[0]] = a[1]
			}
			return atOnce, got
		}
		atOnce, got := ask(true)
		_, want := ask(false)
		for child, w := range want {
			if got[child] != w {
				t.Errorf("%s: got %q, want %q", child, got[child], w)
			}
			if atOnce[child] != early[child] {
				t.Errorf("%s: answered while loading: %v, want %v", child, atOnce[child], early[child])
			}
		}
	})
}

// TestEarlyReadSharesEntry holds that what is read ahead of the loading is no other
// credential than the loaded one: what hangs at it and when it was asked for stay.
func TestEarlyReadSharesEntry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDisk()
		var all []keptCustomer
		for i := range 100 {
			all = append(all, keptCustomer{child: fmt.Sprint("wx", i), boot: thisBoot, left: time.Hour})
		}
		children := keep(t, d, all...)
		d.walk = make(chan struct{})
		r := start(t, Config{Store: d, Catalog: newPlatform(children...).catalog(), Boot: thisBoot, Boottime: bootedNow(), Ahead: true})
		readers := map[string]*credential.Readers{}
		for i, child := range children {
			name := customer(child, "access_token")
			v, err := r.Get(t.Context(), name)
			if err != nil || string(v.Text) != "kept-"+child || v.Readers == nil {
				t.Fatalf("%s: got %q, %v", child, string(v.Text), err)
			}
			if i%3 == 0 {
				if again, ok := r.Cached([]byte(name)); !ok || again.Readers != v.Readers {
					t.Errorf("%s: read again: %v, the same readers: %v", child, ok, again.Readers == v.Readers)
				}
			}
			readers[name] = v.Readers
			if i%2 == 0 {
				d.walk <- struct{}{} // the loading continues
			}
		}
		close(d.walk)
		<-r.Loaded()
		if n := r.index.len(); n != len(children)+1 { // and the ticket that is waited for
			t.Errorf("got %d entries, want %d", n, len(children)+1)
		}
		for name, counted := range readers {
			en := r.index.get(name)
			if &en.readers != counted {
				t.Errorf("%s: loaded as another", name)
			}
			if en.unasked(r.Now()) {
				t.Errorf("%s: that it was asked for is forgotten", name)
			}
			if en.place == 0 {
				t.Errorf("%s: it is never due", name)
			}
		}
	})
}

// TestVerbsWaitForTheLoading holds that everything but a read waits until all is loaded, and does
// then what it would have done later.
func TestVerbsWaitForTheLoading(t *testing.T) {
	name := customer("wxa", "access_token")
	ctx := context.Background()
	listed := func(n int) error {
		if n != 2 {
			return fmt.Errorf("%d credentials are listed", n)
		}
		return nil
	}
	for what, ask := range map[string]func(r *rig) error{
		"reject":  func(r *rig) error { _, err := r.Reject(ctx, name, "kept-wxa"); return err },
		"refresh": func(r *rig) error { _, err := r.Refresh(ctx, name); return err },
		"put":     func(r *rig) error { return r.Put(ctx, customer("wxa", "refresh_token"), "other") },
		"push":    func(r *rig) error { return r.Push(ctx, verify, "ticket-2", time.Now()) },
		"revoke": func(r *rig) error {
			err := r.Revoke(ctx, customer("wxa", "refresh_token"), time.Now().Add(time.Second))
			if v, ok := r.Cached([]byte(name)); ok {
				r.t.Errorf("%s is served after the revocation", string(v.Text))
			}
			return err
		},
		"exchange": func(r *rig) error { _, err := r.Exchange(ctx, platform, "code-of-wxb"); return err },
		"accept": func(r *rig) error {
			return r.Accept(ctx, platform, "code-of-wxb", time.Now(), time.Now().Add(time.Hour))
		},
		"import": func(r *rig) error { _, err := r.Import(ctx, platform, 0); return err },
		"list": func(r *rig) error {
			n, _ := r.List(nil, platform+"/wxa/", nil)
			return listed(n)
		},
		"watch": func(r *rig) error {
			n, _, w := r.Watch(nil, platform+"/wxa/", nil)
			w.Close()
			return listed(n)
		},
		"status":  func(r *rig) error { _, err := r.Status(name); return err },
		"history": func(r *rig) error { _, err := r.History(name); return err },
		"stats": func(r *rig) error {
			for _, s := range r.Stats() {
				if s.Key == "credentials:fresh" && s.Value > 0 {
					return nil
				}
			}
			return errors.New("nothing is counted")
		},
		"reload": func(r *rig) error {
			r.SetCatalog(newPlatform("wxb").catalog())
			if v, ok := r.Cached([]byte(name)); ok {
				return fmt.Errorf("%s is served", string(v.Text))
			}
			return nil
		},
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d := newDisk()
				keep(t, d, keptCustomer{child: "wxa", boot: thisBoot, left: time.Hour}, keptCustomer{child: "wxb", boot: thisBoot, left: time.Hour})
				p := newPlatform("wxa", "wxb")
				p.list = func(offset, count int) (fetchers.AuthorizerPage, error) { return fetchers.AuthorizerPage{}, nil }
				before := start(t, Config{Store: d, Catalog: p.catalog(), Boot: thisBoot, Boottime: bootedNow()})
				before.mustPush("ticket", time.Now())
				before.stop()
				d.walk = make(chan struct{})
				r := start(t, Config{Store: d, Catalog: p.catalog(), Boot: thisBoot, Boottime: bootedNow(), Ahead: true})
				if got := r.mustGet(name); got != "kept-wxa" {
					t.Fatalf("got %s", got)
				}
				done := make(chan error, 1)
				go func() { done <- ask(r) }()
				synctest.Wait()
				select {
				case err := <-done:
					t.Fatalf("answered while loading: %v", err)
				default:
				}
				if n := p.token.count() + p.component.count(); n > 0 {
					t.Errorf("%d calls were made while loading", n)
				}
				close(d.walk)
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestStopWhileLoading holds that a stop waits for no loading, and that nobody who waits for it
// is left behind.
func TestStopWhileLoading(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDisk()
		var all []keptCustomer
		for i := range 2 * loadBatch {
			all = append(all, keptCustomer{child: fmt.Sprint("wx", i), boot: thisBoot, left: time.Hour})
		}
		all = append(all, keptCustomer{child: "over", boot: thisBoot, left: -time.Hour})
		children := keep(t, d, all...)
		d.walk = make(chan struct{})
		r := start(t, Config{Store: d, Catalog: newPlatform(children...).catalog(), Boot: thisBoot, Boottime: bootedNow(), Ahead: true})
		over := customer("over", "access_token")
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Get(impatient, over); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an impatient reader: got %v", err)
		}
		read, listed := make(chan error, 1), make(chan struct{})
		go func() { _, err := r.get(over); read <- err }()
		go func() { r.List(nil, "", nil); close(listed) }()
		synctest.Wait()
		r.end()
		for range loadBatch {
			d.walk <- struct{}{}
		}
		r.stop()
		mustReason(t, <-read, credential.Stopping)
		<-listed
		if r.isLoaded() || !d.has(record.Credentials, over) {
			t.Error("an interrupted loading counts as complete")
		}
	})
}

// TestClockTurnedBackWhileLoading holds that a wall clock that is earlier than what was written
// last is found out wherever that is, that nothing is served by it before, and that values of this
// boot are not touched by it.
func TestClockTurnedBackWhileLoading(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDisk()
		keep(t, d, keptCustomer{child: "here", boot: thisBoot, left: time.Hour}, keptCustomer{child: "before", boot: "boot-1", left: time.Hour},
			keptCustomer{child: "later", boot: "boot-1", left: 3 * time.Hour}) // it was written in an hour
		r := start(t, Config{Store: d, Catalog: newPlatform("here", "before", "later").catalog(), Boot: thisBoot, Boottime: bootedNow(), Ahead: true})
		<-r.Loaded()
		for child, want := range map[string]bool{"here": true, "before": false, "later": false} {
			name := customer(child, "access_token")
			if _, ok := r.Cached([]byte(name)); ok != want {
				t.Errorf("%s: served: %v, want %v", child, ok, want)
			}
			if kept := d.has(record.Credentials, name); kept != want {
				t.Errorf("%s: on disk: %v, want %v", child, kept, want)
			}
		}
	})
}

// TestClockTurnedBackFoundAnywhere holds that one record that was written later than now tells that
// the wall clock was set back, whatever it is a record of.
func TestClockTurnedBackFoundAnywhere(t *testing.T) {
	later := record.Moment{Wall: time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC), Since: 2 * time.Hour} // an hour after the bubble begins
	for what, r := range map[string]record.Record{
		"nothing": {Table: record.Holds, Key: "nobody"},
		"hold":    record.Hold{Name: "official_account/wx9/access_token", Boot: "boot-1", Since: later, Until: later}.Encode(),
		"budget": record.Budget{Key: "official_account/wx9#token", Window: day, Boot: "boot-1",
			Slices: []record.Slice{{First: later, Last: later, Calls: 1}}}.Encode(),
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d, up, p := newDisk(), fresh(2*time.Hour), newPlatform()
				at := func(in time.Duration) record.Moment {
					return record.Moment{Wall: time.Now().Add(in), Since: time.Hour + in}
				}
				kept := record.Credential{Name: app, Value: "kept", Boot: "boot-1", Issued: at(0), Seen: at(0), End: at(time.Hour), Life: time.Hour}
				ticket := kept
				ticket.Name, ticket.Stamp = verify, time.Now()
				if err := d.Put(t.Context(), r, kept.Encode(), ticket.Encode()); err != nil {
					t.Fatal(err)
				}
				account := Spec{Name: app, Account: app, Policy: policy.StableToken, Fetcher: up}
				r := start(t, Config{Store: d, Catalog: specs(account), Boot: thisBoot, Boottime: bootedNow()})
				_, served := r.Cached([]byte(app))
				time.Sleep(time.Minute)
				c := p.catalog()
				c[app] = account
				r.SetCatalog(c)
				_, err := r.get(verify)
				// What is not believed is fetched when somebody asks for it, and counts as met for
				// the first time.
				if believed := what == "nothing"; served != believed || (err == nil) != believed || d.has(record.Credentials, app) != believed {
					t.Errorf("of the boot before: a token is served: %v, and kept: %v; the ticket: %v", served, d.has(record.Credentials, app), err)
				}
				if n := up.count(); n != 0 {
					t.Errorf("%d calls for nobody", n)
				}
			})
		})
	}
}
