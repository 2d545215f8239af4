package refresh

import (
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
)

// without is the configuration in which the platform is not.
func without() catalog {
	return specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: fresh(2 * time.Hour)})
}

// TestTicketOutlivesReload holds that of an account that is taken out of
// the configuration nothing is served, and that its ticket, which nobody can ask for, is there
// again with it: its customers need not wait for the next push.
func TestTicketOutlivesReload(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, d := newPlatform("wxa"), newDisk()
		r := start(t, Config{Store: d, Catalog: p.catalog()})
		r.mustPut(customer("wxa", "refresh_token"), "refresh")
		pushedAt := time.Now()
		r.mustPush("ticket", pushedAt)
		r.mustGet(component)
		time.Sleep(time.Hour)
		r.SetCatalog(without())
		_, err := r.get(verify)
		mustReason(t, err, credential.NotFound)
		if n, _ := r.List(nil, platform, nil); n > 0 {
			t.Errorf("%d of the platform's are listed", n)
		}
		time.Sleep(time.Hour)
		r.SetCatalog(p.catalog())
		v, err := r.Get(t.Context(), verify)
		if err != nil || v.Text != "ticket" || v.TTL != 10*time.Hour {
			t.Errorf("got %q for %s, %v, want the ticket for its last 10 hours", string(v.Text), v.TTL, err)
		}
		r.mustGet(customer("wxa", "access_token"))
		r.mustPush("straggler", pushedAt.Add(-time.Minute))
		if got := r.mustGet(verify); got != "ticket" {
			t.Errorf("an older push is served: %s", got)
		}
		r.mustPush("next", time.Now())
		if got := r.mustGet(verify); got != "next" {
			t.Errorf("a newer push is not served: %s", got)
		}
		if got := p.component.count(); got != 2 {
			t.Errorf("%d calls for the component token, want one each time", got)
		}
	})
}

// TestTicketOutlivesStart is the same over restarts; and what has
// expired since is deleted.
func TestTicketOutlivesStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, d, boottime := newPlatform("wxa"), newDisk(), bootedNow()
		run := func(c catalog) *rig {
			return start(t, Config{Store: d, Catalog: c, Boot: thisBoot, Boottime: boottime})
		}
		r := run(p.catalog())
		r.mustPut(customer("wxa", "refresh_token"), "refresh")
		r.mustPush("ticket", time.Now())
		r.mustGet(component)
		r.stop()
		r = run(without())
		synctest.Wait()
		r.stop()
		if d.has(record.Credentials, component) {
			t.Error("what can be fetched again is kept of an account that is not configured")
		}
		r = run(p.catalog())
		if got := r.mustGet(verify); got != "ticket" {
			t.Errorf("got %s", got)
		}
		r.mustGet(customer("wxa", "access_token"))
		r.stop()
		r = run(without())
		time.Sleep(12 * time.Hour)
		r.SetCatalog(p.catalog())
		synctest.Wait()
		_, err := r.get(verify)
		mustReason(t, err, credential.NoTicket)
		r.stop()
		run(without()).stop()
		if d.has(record.Credentials, verify) {
			t.Error("a ticket that has ended is kept")
		}
	})
}

// TestStoredTicketClockTurnedBack holds that the ticket of an account that is
// configured again is served by the same rules as one of an account that always was.
func TestStoredTicketClockTurnedBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, d := newPlatform(), newDisk()
		at := time.Now().Add(6 * time.Hour) // by the wall clock of the boot before
		m := record.Moment{Wall: at, Since: time.Hour}
		v := record.Credential{Name: verify, Value: "ticket", Boot: "boot-1", Issued: m, Seen: m, Life: 12 * time.Hour, Stamp: at,
			End: record.Moment{Wall: at.Add(12 * time.Hour), Since: 13 * time.Hour}}
		if err := d.Put(t.Context(), v.Encode()); err != nil {
			t.Fatal(err)
		}
		r := start(t, Config{Store: d, Catalog: without(), Boot: thisBoot, Boottime: bootedNow()})
		r.SetCatalog(p.catalog())
		_, err := r.get(verify)
		mustReason(t, err, credential.NoTicket)
	})
}
