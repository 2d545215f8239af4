package refresh

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/quota"
	"tokend/daemon/record"
)

// lapsed leaves so many customers on d whose tokens have ended, and returns their tokens' names.
func lapsed(t *testing.T, d *disk, n int) (p *platformOf, names []string) {
	t.Helper()
	var all []keptCustomer
	for i := range n {
		all = append(all, keptCustomer{child: fmt.Sprintf("wx%04d", i), boot: thisBoot, left: -time.Hour})
	}
	children := keep(t, d, all...)
	for _, c := range children {
		names = append(names, customer(c, "access_token"))
	}
	return newPlatform(children...), names
}

func (d *disk) count(t *testing.T, table record.Table) (n int) {
	t.Helper()
	for _, err := range d.All(table) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// reluctant is a disk that takes its time to delete credentials.
type reluctant struct {
	*disk
	gate chan struct{}                    // what that waits for
	step *atomic.Pointer[[]record.Record] // what waits
}

func (d reluctant) Put(ctx context.Context, recs ...record.Record) error {
	if slices.ContainsFunc(recs, func(r record.Record) bool { return r.Table == record.Credentials && r.Value == nil }) {
		d.step.Store(&recs)
		<-d.gate
	}
	return d.disk.Put(ctx, recs...)
}

// TestDeletionDelaysNobody holds that a start which finds much that has lapsed has loaded
// before that is deleted; and that what is fetched during it is deleted neither by the step that is
// being written nor by a later one.
func TestDeletionDelaysNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDisk()
		p, names := lapsed(t, d, 2*forgetBatch+1)
		boottime := bootedNow()
		run := func(s Store) *rig {
			return start(t, Config{Store: s, Catalog: p.catalog(), Boot: thisBoot, Boottime: boottime, Ahead: true})
		}
		r := run(d)
		r.mustPush("ticket", time.Now())
		r.stop() // with little or all of it deleted
		_, _ = lapsed(t, d, len(names))

		slow := reluctant{d, make(chan struct{}), new(atomic.Pointer[[]record.Record])}
		r = run(slow)
		synctest.Wait()
		if !r.isLoaded() {
			t.Fatal("the loading waits for what is deleted")
		}
		before := d.count(t, record.Credentials)
		step := *slow.step.Load()
		first := step[0].Key
		last := names[slices.IndexFunc(names, func(name string) bool {
			return !slices.ContainsFunc(step, func(r record.Record) bool { return r.Key == name })
		})]
		r.mustGet(last)
		fetched := make(chan error, 1)
		go func() { _, err := r.get(first); fetched <- err }()
		synctest.Wait()
		close(slow.gate)
		if err := <-fetched; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if before < len(names) {
			t.Fatalf("%d records were left before: nothing was tried", before)
		}
		if got := d.count(t, record.Credentials); got != 4 { // with the platform's two
			t.Errorf("%d records are left, want those of the two that were asked for, the platform's token and its ticket", got)
		}
		r.stop()
		calls := p.token.count()
		r = run(d)
		for _, name := range []string{first, last} {
			r.mustGet(name)
		}
		if n := p.token.count() - calls; n > 0 {
			t.Errorf("%d calls for what had been fetched", n)
		}
	})
}

// TestStopWhileDeleting holds that a stop waits for no more than the step that is being written,
// and that the next start deletes the rest.
func TestStopWhileDeleting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDisk()
		p, names := lapsed(t, d, 3*forgetBatch)
		cfg := Config{Store: d, Catalog: p.catalog(), Boot: thisBoot, Boottime: bootedNow(), Ahead: true}
		d.gate = make(chan struct{}, 1)
		d.gate <- struct{}{} // for the key of fingerprints
		r := start(t, cfg)
		synctest.Wait()
		d.gate <- struct{}{}
		synctest.Wait()
		r.end()
		close(d.gate)
		r.stop()
		if got, want := d.count(t, record.Credentials), len(names)-forgetBatch; got != want {
			t.Errorf("%d records are left, want %d", got, want)
		}
		start(t, cfg)
		synctest.Wait()
		if got := d.count(t, record.Credentials); got != 0 {
			t.Errorf("%d records are left after another start", got)
		}
	})
}

// TestMootHoldDeleted holds that the hold in force is not taken for the
// hold that was found.
func TestMootHoldDeleted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, up := newDisk(), fresh(2*time.Hour)
		of := func(settings string) catalog {
			return specs(Spec{Name: app, Policy: policy.StableToken, Settings: settings, Fetcher: up},
				Spec{Name: tick, Policy: policy.Ticket, Parent: app, Settings: settings, Fetcher: up})
		}
		hold := func(name, settings string) record.Record {
			return record.Hold{Name: name, Settings: settings, Reason: uint8(credential.Refused), ErrCode: 40125, Message: "no"}.Encode()
		}
		if err := d.Put(context.Background(), hold(app, "before"), hold(tick, "before")); err != nil {
			t.Fatal(err)
		}
		e, err := New(Config{Hosts: bothHosts, Store: d, Catalog: of("after")})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Put(context.Background(), hold(tick, "after")); err != nil { // since then
			t.Fatal(err)
		}
		e.deleteUnused(context.Background())
		if d.has(record.Holds, app) || !d.has(record.Holds, tick) {
			t.Errorf("the moot hold is kept: %t, the other one: %t, want only the other", d.has(record.Holds, app), d.has(record.Holds, tick))
		}
	})
}

// TestIdleBudgetsForgotten holds that counts of calls are deleted from the disk once their window
// is over, and no earlier.
func TestIdleBudgetsForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: specs()})
		charge := func(account string) {
			if err := r.charge(t.Context(), &Spec{Account: account}, usage{budgets: policy.Ticket.Budgets}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range quota.PruneFrom - 2 {
			charge(fmt.Sprint("idle-", i))
		}
		time.Sleep(time.Minute)
		charge("counts")
		time.Sleep(policy.Ticket.Budgets[0].Window - time.Minute)
		charge("last")
		want := []string{"counts#ticket", "last#ticket"}
		if n := d.count(t, record.Budgets); n != len(want) || !d.has(record.Budgets, want[0]) || !d.has(record.Budgets, want[1]) {
			t.Errorf("%d counts on disk, want those of %q", n, want)
		}
	})
}
