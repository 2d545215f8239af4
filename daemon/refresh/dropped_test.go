package refresh

import (
	"sync/atomic"
	"testing"
	"time"
	"tokend/daemon/credential"
	"tokend/daemon/policy"
)

// readersOf reads name as a client does, and returns its readers.
func (r *rig) readersOf(name string) *credential.Readers {
	r.t.Helper()
	if v, ok := r.Cached([]byte(name)); ok {
		return v.Readers
	}
	v, err := r.Get(r.t.Context(), name)
	if err != nil {
		r.t.Fatal(err)
	}
	return v.Readers
}

// counters is the number of counters of readers.
var counters atomic.Int32

// wantReads checks that uid 1 has read name n times, and reads it again.
func (r *rig) wantReads(name string, n int64) {
	r.t.Helper()
	readers := r.readersOf(name)
	s, err := r.Status(name)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, counted := range []*credential.Readers{readers, s.Readers} {
		var got int64
		for _, c := range counted.List() {
			got += c.Reads
		}
		if got != n {
			r.t.Errorf("%d reads of %s, want %d", got, name, n)
		}
	}
	if readers.Add(1, &counters) {
		counters.Add(1)
	}
	readers.Count(1)
}

func TestReadersEndWithTheAccount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		counters.Store(0)
		one := Spec{Name: app, Policy: policy.StableToken, Fetcher: fresh(2 * time.Hour)}
		r := start(t, Config{Catalog: specs(one)})
		for n := range int64(3) { // a reload that changes nothing, and new values
			r.wantReads(app, n)
			r.SetCatalog(specs(one))
			time.Sleep(3 * time.Hour)
		}
		r.SetCatalog(specs())
		if n := counters.Load(); n != 0 {
			t.Errorf("%d counters of a removed account, want 0", n)
		}
		r.SetCatalog(specs(one))
		r.wantReads(app, 0)
	})
}

func TestReadersOutliveALapse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		name := customer("wxa", "access_token")
		r.mustPut(customer("wxa", "refresh_token"), "refresh")
		for n := range int64(3) {
			r.wantReads(name, n)
			time.Sleep(12 * time.Hour)
			r.mustPush("ticket", time.Now())
			if r.index.get(name) != nil {
				t.Fatal("it has not lapsed")
			}
			if s, err := r.Status(name); err != nil || len(s.Readers.List()) != 1 {
				t.Fatalf("the readers are not shown: %v", err)
			}
		}
		r.SetCatalog(specs())
		if n := len(r.dropped.byName); n != 0 {
			t.Errorf("%d names of removed accounts, want 0", n)
		}
	})
}
