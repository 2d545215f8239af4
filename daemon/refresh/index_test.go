package refresh

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestIndexIsAMap compares the index with a map over random additions and removals, few names and
// many.
func TestIndexIsAMap(t *testing.T) {
	for _, names := range []int{1, 10, 20_000} {
		x, want := newIndex(), map[string]*entry{}
		random := rand.New(rand.NewPCG(uint64(names), 1))
		for range 4 * names {
			name := fmt.Sprintf("work/ww%d/1/access_token", random.IntN(names))
			switch have := want[name]; random.IntN(3) {
			case 0:
				if have != nil {
					x.remove(&entry{name: name}) // another of that name: stays
					x.remove(have)
					delete(want, name)
				}
			default:
				en := &entry{name: name}
				if have == nil {
					want[name], have = en, en
				}
				if got := x.add(en); got != have {
					t.Fatalf("add %s: got %p, want %p", name, got, have)
				}
			}
		}
		for i := range names {
			name := fmt.Sprintf("work/ww%d/1/access_token", i)
			if got, find := x.get(name), x.find([]byte(name)); got != want[name] || find != got {
				t.Errorf("%s: got %p and %p, want %p", name, got, find, want[name])
			}
		}
		for i := 0; i < names; i += batchSize - 1 { // not all at once, and some that are nobody's
			var batch [][]byte
			for k := range batchSize - 1 {
				batch = append(batch, fmt.Appendf(nil, "work/ww%d/1/access_token", i+k))
			}
			batch = append(batch, nil)
			var found [batchSize]*entry
			x.findBatch(batch, &found)
			for k, name := range batch {
				if found[k] != want[string(name)] {
					t.Errorf("%s in a batch: got %p, want %p", name, found[k], want[string(name)])
				}
			}
		}
		each := 0
		for en := range x.each {
			if want[en.name] != en {
				t.Errorf("%s is not there", en.name)
			}
			each++
		}
		if n := len(x.all()); n != len(want) || x.len() != n || each != n {
			t.Errorf("got %d, %d and %d entries, want %d", n, x.len(), each, len(want))
		}
		alike := 0
		for name := range want {
			if strings.HasPrefix(name, "work/ww1") {
				alike++
			}
		}
		if n := x.count("work/ww1", nil); n != alike {
			t.Errorf("got %d that begin alike, want %d", n, alike)
		}
		if x.get("") != nil || x.find([]byte{0}) == nil && x.get("\x00") != nil {
			t.Error("found what is nobody's")
		}
	}
}

// TestIndexIsReadWhileItGrows holds that an entry which is there is found, whatever happens to
// others.
func TestIndexIsReadWhileItGrows(t *testing.T) {
	x := newIndex()
	const stays = "official_account/wx/access_token"
	en := x.add(&entry{name: stays})
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !stop.Load() {
				if x.find([]byte(stays)) != en {
					t.Error("not found")
					return
				}
			}
		})
	}
	for i := range 30_000 {
		made := x.add(&entry{name: fmt.Sprintf("work/ww%d/1/access_token", i)})
		if i%3 == 0 {
			x.remove(made)
		}
	}
	stop.Store(true)
	wg.Wait()
}

func BenchmarkIndexFind(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x := newIndex()
			names := make([][]byte, n)
			for i := range n {
				names[i] = fmt.Appendf(nil, "open_platform/wxplatform/wx%016x/access_token", uint64(i)*0x9e3779b97f4a7c15)
				x.add(&entry{name: string(names[i])})
			}
			random := rand.New(rand.NewPCG(1, 2))
			random.Shuffle(n, func(i, j int) { names[i], names[j] = names[j], names[i] })
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				if x.find(names[i]) == nil {
					b.Fatal("not found")
				}
				if i++; i == n {
					i = 0
				}
			}
		})
	}
}
