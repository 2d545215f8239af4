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
	"tokend/daemon/store/memstore"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// TestLoadNeedsGrant holds that a customer's value is served after a restart
// where its grant can be used, and where nobody can tell; and that it is gone where the grant is.
func TestLoadNeedsGrant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		now := time.Now()
		moment := func(after time.Duration) record.Moment { return record.Moment{Wall: now.Add(after), Since: after} }
		grant := func(child string, revoked time.Time) record.Record {
			g := record.Grant{Name: customer(child, "refresh_token"), Revoked: revoked}
			g.Value, g.At, g.Source = "refresh", now, fromPut
			return g.Encode()
		}
		broken := grant("broken", time.Time{})
		broken.Value = broken.Value[:2]
		d := newDisk()
		recs := []record.Record{grant("good", time.Time{}), grant("revoked", now), broken}
		children := []string{"good", "revoked", "broken", "none"}
		for _, child := range children {
			recs = append(recs, record.Credential{Name: customer(child, "access_token"), Value: secret.Text("token-" + child),
				Issued: moment(0), Seen: moment(0), End: moment(2 * time.Hour), Life: 2 * time.Hour}.Encode())
		}
		if err := d.Put(context.Background(), recs...); err != nil {
			t.Fatal(err)
		}
		r := start(t, Config{Store: d, Catalog: newPlatform(children...).catalog()})
		for _, child := range children {
			name := customer(child, "access_token")
			v, served := r.Cached([]byte(name))
			want := child == "good" || child == "broken"
			if served != want || served && string(v.Text) != "token-"+child {
				t.Errorf("%s: got %q, %v; want it served: %v", child, string(v.Text), served, want)
			}
			if kept := d.has(record.Credentials, name); kept != want {
				t.Errorf("%s: on disk: %v, want %v", child, kept, want)
			}
		}
	})
}

// BenchmarkLoad takes over what a platform's customers have on disk; the store itself costs
// next to nothing.
func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkLoad(b, n) })
	}
}

func benchmarkLoad(b *testing.B, n int) {
	now := time.Now()
	moment := func(after time.Duration) record.Moment { return record.Moment{Wall: now.Add(after), Since: after} }
	var d memstore.Store
	var children []string
	for i := range n {
		child := fmt.Sprintf("wx%016x", i)
		children = append(children, child)
		g := record.Grant{Name: customer(child, "refresh_token")}
		g.Value, g.At, g.Source = "refresh", now, fromPut
		c := record.Credential{Name: customer(child, "access_token"), Value: secret.Text(make([]byte, 512)),
			Issued: moment(0), Seen: moment(0), End: moment(2 * time.Hour), Life: 2 * time.Hour}
		if err := d.Put(b.Context(), g.Encode(), c.Encode()); err != nil {
			b.Fatal(err)
		}
	}
	cfg := Config{Hosts: bothHosts, Store: &d, Catalog: newPlatform(children...).catalog()}
	b.ReportAllocs()
	for b.Loop() {
		e, err := New(cfg)
		if err != nil {
			b.Fatal(err)
		}
		if len(e.index.all()) < n {
			b.Fatal("not all were loaded")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/entry")
}

func TestRestartServesWithoutCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(2 * time.Hour)
		d := newDisk()
		var all []Spec
		for i := range 100 {
			all = append(all, Spec{Name: fmt.Sprintf("work/ww1/%d/access_token", i), Policy: policy.StableToken, Fetcher: up})
		}
		r := start(t, Config{Store: d, Catalog: specs(all...)})
		want := map[string]string{}
		for _, s := range all {
			want[s.Name] = r.mustGet(s.Name)
		}
		// The first engine is not stopped: a kill is no stop.
		calls := up.count()
		time.Sleep(time.Hour)
		r2 := start(t, Config{Store: d, Catalog: specs(all...)})
		for i := range 1000 {
			name := all[i%len(all)].Name
			if got := r2.mustGet(name); got != want[name] {
				t.Fatalf("%s: got %s, want %s", name, got, want[name])
			}
		}
		if n := up.count() - calls; n != 0 {
			t.Errorf("calls after the restart: got %d, want 0", n)
		}
	})
}

func TestExpiredOverRestartPaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(2 * time.Hour)
		d := newDisk()
		var all []Spec
		for i := range 200 {
			all = append(all, Spec{Name: fmt.Sprintf("work/ww1/%d/access_token", i), Policy: policy.CorpToken, Fetcher: up})
		}
		r := start(t, Config{Store: d, Catalog: specs(all...)})
		for _, s := range all {
			r.mustGet(s.Name)
		}
		r.stop()
		time.Sleep(3 * 365 * 24 * time.Hour) // years later
		up.answers(func(_ context.Context, _ fetchers.Ask, n int) (fetchers.Token, error) {
			time.Sleep(100 * time.Millisecond)
			return token(fmt.Sprintf("tok-%d", n), 2*time.Hour), nil
		})
		up.most = 0
		r = start(t, Config{Store: d, Catalog: specs(all...)})
		if _, ok := r.Cached([]byte(all[0].Name)); ok {
			t.Error("an expired value is served")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := up.count(); n != 400 {
			t.Errorf("calls: got %d, want 400", n)
		}
		if up.most > 8 {
			t.Errorf("calls at once: got %d, want 8 at most", up.most)
		}
		h, _ := r.History(all[0].Name)
		if len(h) != 2 || h[0].Cause != credential.CauseStart || h[1].Cause != credential.CauseRead {
			t.Errorf("history: got %+v, want one refresh caused by the start, after that of the first run", h)
		}
	})
}

// TestRestoredTokensFetchedAgain holds that after a restore no token is served that a fetch since
// the backup may have ended, that everything else is, and that this is so after the first start
// alone.
func TestRestoredTokensFetchedAgain(t *testing.T) {
	name, ticket := customer("wxa", "access_token"), customer("wxa", "jsapi_ticket")
	restored := record.Key{Name: record.Restored, Bytes: []byte{1}}.Encode()
	bubble(t, func(t *testing.T) {
		p, d, boottime := newPlatform("wxa"), newDisk(), bootedNow()
		stable, rotating := fresh(2*time.Hour), fresh(2*time.Hour)
		c := p.catalog()
		c[app] = Spec{Name: app, Account: app, Owner: app, Policy: policy.StableToken, Fetcher: stable}
		c[app2] = Spec{Name: app2, Account: app2, Owner: app2, Policy: policy.RotatingToken, Fetcher: rotating}
		cfg := Config{Store: d, Catalog: c, Boot: thisBoot, Boottime: boottime}
		r := start(t, cfg)
		r.mustPut(customer("wxa", "refresh_token"), "refresh")
		r.mustPush("ticket", time.Now())
		for _, name := range []string{app, app2, ticket} {
			r.mustGet(name)
		}
		r.stop()
		if err := d.Put(t.Context(), restored); err != nil {
			t.Fatal(err)
		}
		cached := func(r *rig) (n int) {
			for _, name := range []string{component, name, app2} {
				if _, ok := r.Cached([]byte(name)); ok {
					n++
				}
			}
			for _, name := range []string{verify, ticket, app} {
				if _, ok := r.Cached([]byte(name)); !ok {
					t.Errorf("%s is not served", name)
				}
			}
			return n
		}

		// The disk refuses once: nothing that may be dead is served, and the next start does not
		// serve it either.
		d.Fail(1, errors.New("refused"))
		r = start(t, cfg)
		if n := cached(r); n != 0 {
			t.Errorf("%d tokens are served that may be dead", n)
		}
		r.stop()
		d.fail(nil)

		d.walk = make(chan struct{})
		cfg.Ahead = true
		r = start(t, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if v, err := r.Get(ctx, component); err == nil {
			t.Errorf("%s is served while loading", string(v.Text))
		}
		close(d.walk)
		<-r.Loaded()
		synctest.Wait()
		if n := cached(r); n != 0 {
			t.Errorf("%d tokens are served that may be dead", n)
		}
		for _, name := range []string{component, name, app2} {
			if got := r.mustGet(name); got != "tok-2" {
				t.Errorf("%s: got %s, want another", name, got)
			}
		}
		r.stop()
		d.walk = nil
		r = start(t, cfg)
		<-r.Loaded()
		if n := cached(r); n != 3 {
			t.Errorf("%d tokens are served after the next start, want all", n)
		}
		if n := stable.count() + p.ticket.count(); n != 2 {
			t.Errorf("%d calls for what a fetch does not end, want those before the backup", n)
		}
	})
}
