package refresh

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"tokend/daemon/policy"
	"tokend/fetchers/secret"
)

// counting counts the lookups in a catalog, and the names that it yields.
type counting struct {
	catalog
	lookups atomic.Int64
}

func (c *counting) Lookup(name string) (Spec, error) {
	c.lookups.Add(1)
	return c.catalog.Lookup(name)
}

// TestReloadLinear holds that a reload takes the same few steps for each credential, however many
// there are: of accounts that have not changed, whose secret has changed, and that are gone.
func TestReloadLinear(t *testing.T) {
	steps := func(t *testing.T, n int) (each []float64) {
		of := func(settings string) *counting {
			var all []Spec
			for i := range n {
				name := fmt.Sprintf("official_account/wx%d/access_token", i)
				all = append(all, Spec{Name: name, Policy: policy.StableToken, Settings: settings, Fetcher: fresh(2 * time.Hour)})
			}
			return &counting{catalog: specs(all...)}
		}
		d := newDisk()
		before := of("before")
		r := start(t, Config{Store: d, Catalog: before})
		for name := range before.catalog {
			r.mustGet(name)
		}
		for _, after := range []*counting{of("before"), of("after"), {catalog: specs()}} {
			puts := d.Puts()
			r.SetCatalog(after)
			each = append(each, float64(after.lookups.Load()+int64(d.Puts()-puts))/float64(n))
			r.SetCatalog(of("before"))
			time.Sleep(time.Minute)
		}
		return each
	}
	bubble(t, func(t *testing.T) {
		few, many := steps(t, 100), steps(t, 1000)
		for i, what := range []string{"unchanged", "changed", "gone"} {
			if many[i] > 2*few[i] || many[i] > 5 {
				t.Errorf("%s: got %.2f steps for each of 100 and %.2f for each of 1000", what, few[i], many[i])
			}
		}
	})
}

// TestSeedsWrittenTogether holds that the customers of a configuration do not cost a write each: a
// start waits for all of them.
func TestSeedsWrittenTogether(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 300
		var children []string
		var seeds []Seed
		for i := range n {
			children = append(children, fmt.Sprint("wx", i))
			seeds = append(seeds, Seed{customer(children[i], "refresh_token"), secret.Text(fmt.Sprint("seed-", i))})
		}
		d := newDisk()
		r := start(t, Config{Store: d, Catalog: newPlatform(children...).catalog()})
		before := d.Puts()
		for _, want := range []int{n/giveBatch + 1, 0} {
			if err := r.ApplySeeds(t.Context(), seeds); err != nil {
				t.Fatal(err)
			}
			if puts := d.Puts() - before; puts > want {
				t.Errorf("got %d writes of %d grants, want %d at most", puts, n, want)
			}
			before = d.Puts()
		}
		for _, s := range seeds {
			if g, err := r.grants.get(s.Name); err != nil || g.Value != s.Value {
				t.Fatalf("%s: got %q, %v", s.Name, string(g.Value), err)
			}
		}
	})
}

// TestFullHostConstant holds that the schedule does not look through the owners that wait when a
// host has no place: that happens at each answer while very many accounts are due.
func TestFullHostConstant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e, err := New(Config{Hosts: bothHosts, Store: newDisk(), Catalog: specs()})
		if err != nil {
			t.Fatal(err)
		}
		e.schedule.wait(oneHost, ownDue, e.newEntry(&Spec{Name: app, Policy: policy.StableToken}), never)
		e.schedule.backlogs[oneHost].owners.order.PushFront("no owner") // a look at it panics
		qs := newHostQueues(e.hosts, e.cfg.scheduled(), e.cfg.calls())
		q := &qs.of[oneHost]
		for i := range e.cfg.scheduled() {
			q.places.take(i)
		}
		q.pace = pace{looked: instantOf(e.Now()), more: true}
		if e.work(nil, qs, q); !q.pace.full {
			t.Error("the host is not full")
		}
	})
}

// TestClassesKept checks that a reload makes no new class for accounts that have not changed.
func TestClassesKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		of := func(settings string) catalog {
			return specs(Spec{Name: app, Policy: policy.StableToken, Settings: settings, Fetcher: fresh(2 * time.Hour)})
		}
		r := start(t, Config{Catalog: of("before")})
		r.mustGet(app)
		class := r.index.get(app).class.Load()
		r.SetCatalog(of("before"))
		if kept := r.index.get(app).class.Load(); kept != class || len(r.classes.all) > 0 {
			t.Errorf("unchanged: %v, and %d classes were made", kept, len(r.classes.all))
		}
		r.SetCatalog(of("after"))
		if changed := r.index.get(app).class.Load(); changed.settings != "after" {
			t.Errorf("changed: %v", changed)
		}
	})
}
