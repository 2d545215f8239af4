package refresh

import (
	"testing"
	"time"
)

func TestAHitDoesNotAllocate(t *testing.T) {
	e, err := New(Config{Store: newDisk(), Catalog: specs(Spec{Name: app, Kind: StableToken, Fetcher: fresh(time.Hour)})})
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

func BenchmarkCached(b *testing.B) {
	e, err := New(Config{Store: newDisk(), Catalog: specs(Spec{Name: app, Kind: StableToken, Fetcher: fresh(time.Hour)})})
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
