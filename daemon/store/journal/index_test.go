package journal

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestIndexAgainstMap compares an index with a map, with more keys than the initial slots and
// blocks hold. The newest record of each key wins, even if commits arrive out of order or a key
// returns after Remove.
func TestIndexAgainstMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	x, want := NewIndex(), map[string]Ref{}
	name := func() []byte {
		n := rng.IntN(3 * blockRefs)
		if n == 0 {
			return []byte(strings.Repeat("long", blockKeys/2)) // longer than a block
		}
		return fmt.Appendf(nil, "grants\x00customer %d of many", n)
	}
	check := func() {
		t.Helper()
		got := map[string]Ref{}
		for key, ref := range x.All() {
			if _, twice := got[string(key)]; twice {
				t.Fatalf("%.40q twice", key)
			}
			got[string(key)] = ref
		}
		if len(got) != len(want) {
			t.Fatalf("got %d keys, want %d", len(got), len(want))
		}
		for key, ref := range want {
			if got[key] != ref {
				t.Fatalf("%.40q: got %+v, want %+v", key, got[key], ref)
			}
			if one, ok := x.Get([]byte(key)); !ok || one != ref {
				t.Fatalf("Get %.40q: got %+v and %v, want %+v", key, one, ok, ref)
			}
		}
	}
	for number := range uint64(4000) {
		e := Entry{Number: number, Commit: rng.Uint64N(50)}
		for range rng.IntN(4) {
			r := Record{Key: name()}
			if rng.IntN(4) > 0 {
				r.Value = []byte("value")
			}
			e.Records = append(e.Records, r)
		}
		x.Add(e)
		for i, r := range e.Records {
			if old, ok := want[string(r.Key)]; !ok || old.Commit <= e.Commit {
				want[string(r.Key)] = Ref{e.Commit, e.Number, i, r.Value == nil}
			}
		}
		for i, r := range e.Records {
			newest := want[string(r.Key)] == Ref{e.Commit, e.Number, i, r.Value == nil}
			if got := x.Newest(e, i); got != newest {
				t.Fatalf("entry %d record %d: newest %v, want %v", number, i, got, newest)
			}
		}
		if rng.IntN(4) == 0 {
			key := name()
			x.Remove(key)
			delete(want, string(key))
			if ref, ok := x.Get(key); ok {
				t.Fatalf("%.40q was removed and is %+v", key, ref)
			}
		}
		if number%500 == 0 {
			check()
		}
	}
	check()
	if x.count <= firstSlots || len(x.keys) < 3 {
		t.Errorf("%d keys in %d blocks: too few for growth", x.count, len(x.keys))
	}
}
