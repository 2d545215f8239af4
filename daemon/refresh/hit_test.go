package refresh

import (
	"fmt"
	"testing"
	"time"
	"tokend/daemon/credential"
	"tokend/daemon/policy"
)

func TestHitAllocatesNothing(t *testing.T) {
	e, err := New(Config{Hosts: bothHosts, Store: newDisk(), Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: fresh(time.Hour)})})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Get(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	name := []byte(app)
	if n := testing.AllocsPerRun(1000, func() {
		if _, ok := e.Cached(name, e.Now()); !ok {
			t.Fatal("no hit")
		}
	}); n != 0 {
		t.Errorf("allocations: got %v, want 0", n)
	}
}

// TestCachedAllIsCached compares the two, for names that are held, have ended, have never been
// asked for, or are none.
func TestCachedAllIsCached(t *testing.T) {
	var all []Spec
	for i := range 3*batchSize + 1 {
		life := time.Duration(1+i%2) * time.Hour
		all = append(all, Spec{Name: fmt.Sprintf("mini_program/wx%d/access_token", i), Policy: policy.StableToken, Fetcher: fresh(life)})
	}
	e, err := New(Config{Hosts: bothHosts, Store: newDisk(), Catalog: specs(all...)})
	if err != nil {
		t.Fatal(err)
	}
	names := [][]byte{nil, []byte("mini_program/wx0/access_token\x00"), []byte("none")}
	for i, s := range all {
		names = append(names, []byte(s.Name), []byte(s.Name))
		if i%3 == 0 {
			continue
		}
		if _, err := e.Get(t.Context(), s.Name); err != nil {
			t.Fatal(err)
		}
	}
	values := make([]credential.Value, len(names))
	for i := range values {
		values[i] = credential.Value{Text: "of before", TTL: time.Hour}
	}
	now := e.Now().Add(90 * time.Minute)
	e.CachedAll(names, now, values)
	held := 0
	for i, name := range names {
		want, ok := e.Cached(name, now)
		if values[i] != want {
			t.Errorf("%q: got %+v, want %+v", name, values[i], want)
		}
		if ok {
			held++
		}
	}
	if held == 0 || held >= len(all) {
		t.Errorf("%d of %d are held", held, len(names))
	}
	if n := testing.AllocsPerRun(100, func() { e.CachedAll(names, now, values) }); n != 0 {
		t.Errorf("allocations: got %v, want 0", n)
	}
}

func BenchmarkCached(b *testing.B) {
	e, err := New(Config{Hosts: bothHosts, Store: newDisk(), Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: fresh(time.Hour)})})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := e.Get(b.Context(), app); err != nil {
		b.Fatal(err)
	}
	name := []byte(app)
	for b.Loop() {
		e.Cached(name, e.Now())
	}
}
