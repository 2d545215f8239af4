package refresh

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/daemon/throttle"
	"tokend/fetchers/secret"
)

// someName returns one of a small language in which many names begin or end alike, and some are
// others' beginnings.
func someName(random *rand.Rand) string {
	var b strings.Builder
	for range 1 + random.IntN(6) {
		b.WriteString([]string{"open_platform/", "wx0123456789", "a", "b", "/", "access_token", strings.Repeat("z", 60)}[random.IntN(7)])
	}
	return b.String()
}

// TestSortByName compares it with the ordinary way.
func TestSortByName(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		var want []string
		var all []*entry
		for range random.IntN(400) {
			name := someName(random) // the same one again, sometimes
			want = append(want, "x/"+name)
			all = append(all, &entry{name: "x/" + name})
		}
		slices.Sort(want)
		sortByName(all, func() {})
		for i, en := range all {
			if en.name != want[i] {
				t.Fatalf("seed %d: place %d has %s, want %s", seed, i, en.name, want[i])
			}
		}
	}
}

// TestNameList holds that what is added comes back, and that what is out of order is
// refused.
func TestNameList(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	var all nameList
	var want []credential.Listing
	last := ""
	for range 30_000 {
		name := fmt.Sprintf("%s%05d/%s", last[:min(len(last), random.IntN(20))], random.IntN(100_000), someName(random))
		name = name[:min(len(name), 255)]
		state := credential.State(random.IntN(credential.StateCount))
		if added := all.add(name, state); added != (name > last) {
			t.Fatalf("%s after %s: added %v", name, last, added)
		} else if added {
			want, last = append(want, credential.Listing{Name: name, State: state}), name
		}
	}
	if all.add(strings.Repeat("~", 256), credential.Fresh) {
		t.Error("a name of 256 bytes was taken")
	}
	for r, i := all.reader(), 0; ; i++ {
		got, ok := r.next()
		if !ok {
			if i != len(want) || i != all.n || i < 10 {
				t.Errorf("%d came back, of %d that were counted, of %d", i, all.n, len(want))
			}
			return
		}
		if got != want[i] {
			t.Fatalf("got %v, want %v", got, want[i])
		}
	}
}

// inOrder is a disk that yields its records in the order of their keys, as the daemon's does, but
// for the last.
type inOrder struct{ *disk }

func (d inOrder) All(table record.Table) iter.Seq2[record.Record, error] {
	return func(yield func(record.Record, error) bool) {
		var all []record.Record
		for r := range d.disk.All(table) {
			all = append(all, r)
		}
		slices.SortFunc(all, func(a, b record.Record) int { return strings.Compare(a.Key, b.Key) })
		if n := len(all); n > 2 { // a grant that is not in the database yet comes last
			all = append(slices.Delete(slices.Clone(all), n/2, n/2+1), all[n/2])
		}
		for _, r := range all {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// TestListIsWhatThereIs: entries, grants and what the configuration knows besides, in order, each
// once, and no more than may be shown; however the disk hands out its records.
func TestListIsWhatThereIs(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			p := newPlatform()
			d := newDisk()
			want := []string{component, preAuth, verify}
			for i := range 300 {
				child := fmt.Sprintf("wx%d", i)
				p.children = append(p.children, child)
				g := record.Grant{Name: customer(child, "refresh_token")}
				g.Value, g.At, g.Source = secret.Text(child), time.Now(), fromPut
				if err := d.Put(t.Context(), g.Encode()); err != nil {
					t.Fatal(err)
				}
				want = append(want, g.Name)
			}
			var store Store = d
			if ordered {
				store = inOrder{d}
			}
			r := start(t, Config{Store: store, Catalog: p.catalog()})
			r.mustPush("ticket", time.Now())
			for i := 0; i < 300; i += 3 {
				r.mustGet(customer(p.children[i], "access_token"))
				want = append(want, customer(p.children[i], "access_token"))
			}
			slices.Sort(want)
			for _, prefix := range []string{"", platform, platform + "/wx1", "x"} {
				for _, may := range []func(string) bool{nil, func(name string) bool { return strings.Contains(name, "7") }} {
					var shown []string
					for _, name := range want {
						if strings.HasPrefix(name, prefix) && (may == nil || may(name)) {
							shown = append(shown, name)
						}
					}
					n, all := r.List(nil, prefix, may)
					var got []string
					for l := range all {
						got = append(got, l.Name)
						if strings.HasSuffix(l.Name, "_token") && l.State != credential.Fresh {
							t.Errorf("%s is %s", l.Name, l.State)
						}
					}
					if !slices.Equal(got, shown) || n != len(shown) {
						t.Errorf("under %q: %d, got\n%q\nwant\n%q", prefix, n, got, shown)
					}
				}
			}
			_, all := r.List(nil, "", nil)
			for range all {
				break // a walk may stop
			}
		})
	}
}

// TestListWhileTheWorldGoesOn: entries come and go while lists are made and walked. Each has as
// many lines as announced, in order, and none twice; and what existed all the while is in it.
func TestListWhileTheWorldGoesOn(t *testing.T) {
	e, err := New(Config{Hosts: bothHosts, Store: newDisk(), Catalog: specs()})
	if err != nil {
		t.Fatal(err)
	}
	class := e.classes.of(&Spec{Policy: policy.StableToken})
	add := func(i int) *entry {
		en := &entry{name: fmt.Sprintf("official_account/wx%d/access_token", i)}
		en.class.Store(class)
		return e.index.add(en)
	}
	const stay, move = 500, 500
	for i := range stay {
		add(i)
	}
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		random := rand.New(rand.NewPCG(1, 1))
		for {
			select {
			case <-stop:
				return
			default:
			}
			if en := add(stay + random.IntN(move)); random.IntN(2) == 0 {
				e.index.remove(en)
				en.mu.Lock()
				en.newHistory().gone = errChanged
				en.mu.Unlock()
			}
		}
	})
	for range 200 {
		n, all := e.List(nil, "", nil)
		lines, stayed, last := 0, 0, ""
		for l := range all {
			if l.Name <= last {
				t.Fatalf("%s after %s", l.Name, last)
			}
			var i int
			if _, err := fmt.Sscanf(l.Name, "official_account/wx%d/", &i); err == nil && i < stay {
				stayed++
			}
			lines, last = lines+1, l.Name
		}
		if lines != n || stayed != stay {
			t.Fatalf("%d lines of %d, with %d of %d that were there all the while", lines, n, stayed, stay)
		}
	}
	close(stop)
	others.Wait()
}

// BenchmarkList makes and walks the list of a platform of which every customer is in use: as many
// grants as entries.
func BenchmarkList(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			e := newCrowd(b, n, nil)
			b.ReportAllocs()
			for b.Loop() {
				listAll(b, e)
			}
		})
	}
}

// newCrowd returns an engine with n entries and as many grants.
func newCrowd(t testing.TB, n int, b *throttle.Budget) *Engine {
	e, err := New(Config{Hosts: bothHosts, Store: newGrantsAlone(n), Catalog: specs(), Throttle: b})
	if err != nil {
		t.Fatal(err)
	}
	class := e.classes.of(&Spec{Policy: policy.AuthorizerToken})
	for i := range n {
		en := &entry{name: fmt.Sprintf("open_platform/wxbench/wx%016x/access_token", uint64(i+1)*0x9e3779b97f4a7c15)}
		en.class.Store(class)
		e.index.add(en)
	}
	return e
}

// listAll makes and walks a list of all there is.
func listAll(t testing.TB, e *Engine) {
	lines, all := e.List(nil, "", nil)
	for range all {
		lines--
	}
	if lines != 0 {
		t.Errorf("%d lines are missing", lines)
	}
}

// grantsAlone is a store with grants and nothing else, in order.
type grantsAlone struct {
	disk
	grants []record.Record
}

func newGrantsAlone(n int) *grantsAlone {
	value := record.Grant{Generation: record.Generation{Value: "g", At: time.Now(), Source: fromPut}}.Encode().Value
	g := &grantsAlone{grants: make([]record.Record, n)}
	for i := range g.grants {
		g.grants[i] = record.Record{Table: record.Grants, Value: value,
			Key: fmt.Sprintf("open_platform/wxbench/wx%016x/refresh_token", uint64(i)*0x123456789ab)}
	}
	return g
}

func (g *grantsAlone) All(table record.Table) iter.Seq2[record.Record, error] {
	return func(yield func(record.Record, error) bool) {
		for _, r := range g.grants {
			if table != record.Grants || !yield(r, nil) {
				return
			}
		}
	}
}

// TestListsShare holds that lists at the same time take half of a processor together, not each.
func TestListsShare(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n, lists = 2000, 8
		e := newCrowd(t, n, throttle.New())
		began := time.Now()
		var all sync.WaitGroup
		for range lists {
			all.Go(func() {
				work := e.cfg.Throttle.Begin(t.Context())
				defer work.End()
				_, lines := e.List(work, "", nil)
				for range lines {
					time.Sleep(time.Microsecond)
				}
			})
		}
		all.Wait()
		const work = lists * n * time.Microsecond
		if took := time.Since(began); took < work*3/2 {
			t.Errorf("%v of work took %v", work, took)
		}
	})
}

// TestOtherGrantsThrottled checks that a list shares the budget of long work also for the grants
// that are not under its prefix.
func TestOtherGrantsThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 20_000
		e, err := New(Config{Hosts: bothHosts, Store: &slowGrants{newGrantsAlone(n)}, Catalog: specs(), Throttle: throttle.New()})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		e.List(e.cfg.Throttle.Begin(t.Context()), "work/", nil)
		if took := time.Since(began); took < n*time.Microsecond*3/2 {
			t.Errorf("%v of work took %v", n*time.Microsecond, took)
		}
	})
}

// TestListEnds checks that a list whose context ends stops in each of its parts.
func TestListEnds(t *testing.T) {
	const n = 20_000 // entries, and as many grants
	for at := range 3 {
		bubble(t, func(t *testing.T) {
			e := newCrowd(t, n, throttle.New())
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			work := e.cfg.Throttle.Begin(ctx)
			defer work.End()
			seen := 0
			step := func() {
				time.Sleep(time.Microsecond)
				if seen++; seen == at*n+n/2 {
					leave()
				}
			}
			_, all := e.List(work, "", func(string) bool { step(); return true })
			for range all {
				step()
			}
			if limit := at*n + n/2 + 2*int(time.Millisecond/time.Microsecond); seen > limit {
				t.Errorf("left in part %d: %d steps, want at most %d", at, seen, limit)
			}
		})
	}
}

// slowGrants takes a microsecond to read a record.
type slowGrants struct{ *grantsAlone }

func (g *slowGrants) All(table record.Table) iter.Seq2[record.Record, error] {
	return func(yield func(record.Record, error) bool) {
		for r, err := range g.grantsAlone.All(table) {
			time.Sleep(time.Microsecond)
			if !yield(r, err) {
				return
			}
		}
	}
}
