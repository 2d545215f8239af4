package refresh

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/policy"
	"tokend/daemon/record"
)

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
