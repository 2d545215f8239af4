package refresh

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/fetchers"
)

func TestWatchersInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		up := fresh(2 * time.Hour)
		r := start(t, Config{Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Fetcher: up}, Spec{Name: "work/ww1/1/access_token", Policy: policy.CorpToken, Fetcher: fresh(time.Hour)})})
		n, all, w := r.Watch(nil, "official", nil)
		defer w.Close()
		if list := slices.Collect(all); n != 1 || len(list) != 1 || list[0].State != credential.Idle {
			t.Fatalf("snapshot: got %d: %+v", n, list)
		}
		r.mustGet("work/ww1/1/access_token")
		r.mustGet(app)
		expect := func(want credential.State) {
			t.Helper()
			select {
			case <-w.Ready():
				if got, more := w.Take(); len(got) != 1 || got[0].Name != app || got[0].State != want || !more {
					t.Errorf("events: got %+v, want %s", got, want)
				}
			case <-time.After(3 * time.Hour):
				t.Errorf("no event, want %s", want)
			}
		}
		expect(credential.Fresh)
		up.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return fetchers.Token{}, away() })
		expect(credential.Stale)
		expect(credential.Expired)
		up.answers(func(context.Context, fetchers.Ask, int) (fetchers.Token, error) { return token("back", time.Hour), nil })
		expect(credential.Fresh)
	})
}

func TestSlowWatcherIsClosed(t *testing.T) {
	for credentials, most := range map[int]int{0: backlog, 100: backlog, 1_000_000: 62_500} {
		for _, more := range []int{0, 1} {
			var ws watchers
			w := ws.add("", credentials)
			for range most + more {
				ws.tell(credential.Listing{Name: "x"})
			}
			if got, want := len(drain(t, w)), most*(1-more); got != want || len(ws.all) != 1-more {
				t.Errorf("%d credentials, %d events: got %d of them, %d watchers are left", credentials, most+more, got, len(ws.all))
			}
			w.Close()
		}
	}
}

// drain takes what waits for w, in pieces of a bounded size.
func drain(t *testing.T, w *Watch) (all []credential.Listing) {
	t.Helper()
	for {
		select {
		case <-w.Ready():
		default:
			return all
		}
		events, more := w.Take()
		if len(events) > takeMost {
			t.Errorf("%d events at once, want at most %d", len(events), takeMost)
		}
		if all = append(all, events...); !more {
			return all
		}
	}
}

// Each watcher gets what is under its prefix, in order and once, however it is mixed with what is
// not and whenever others take theirs.
func TestWatchersTakeEachTheirs(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	prefixes := []string{"", "a", "ab", "b", "nobody"}
	var ws watchers
	type watching struct {
		*Watch
		prefix    string
		got, want []string
	}
	var all []*watching
	for i := range 20_000 {
		switch random.IntN(50) {
		case 0:
			prefix := prefixes[random.IntN(len(prefixes))]
			all = append(all, &watching{Watch: ws.add(prefix, 0), prefix: prefix})
		case 1, 2, 3:
			if len(all) > 0 {
				w := all[random.IntN(len(all))]
				for _, l := range drain(t, w.Watch) {
					w.got = append(w.got, l.Name)
				}
				if random.IntN(4) == 0 {
					if !slices.Equal(w.got, w.want) {
						t.Fatalf("under %q: got %d events, want %d", w.prefix, len(w.got), len(w.want))
					}
					w.Close()
					all = slices.DeleteFunc(all, func(other *watching) bool { return other == w })
				}
			}
		default:
			name := fmt.Sprintf("%s/%d", []string{"a", "ab", "b", "c"}[random.IntN(4)], i)
			ws.tell(credential.Listing{Name: name})
			for _, w := range all {
				if strings.HasPrefix(name, w.prefix) {
					w.want = append(w.want, name)
				}
			}
		}
	}
	ws.close() // what waits is still theirs
	for _, w := range all {
		for more := true; more; {
			var events []credential.Listing
			events, more = w.Take()
			for _, l := range events {
				w.got = append(w.got, l.Name)
			}
		}
		if !slices.Equal(w.got, w.want) {
			t.Errorf("at the end, under %q: got %d events, want %d", w.prefix, len(w.got), len(w.want))
		}
	}
}

// However many watchers are behind, what waits for them takes room once; and none when they are
// gone.
func TestSlowWatchersShareTheirBacklog(t *testing.T) {
	inUse := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	var ws watchers
	before := inUse()
	var all []*Watch
	for range 64 {
		all = append(all, ws.add("", 1_000_000))
	}
	all[0].Take()
	for range 62_500 {
		ws.tell(credential.Listing{Name: "x"})
	}
	if n := inUse() - before; n > 8<<20 {
		t.Errorf("%d watchers that are behind take %d KB", len(all), n>>10)
	}
	if n := len(ws.all); n != len(all) {
		t.Fatalf("%d watchers are left, want %d", n, len(all))
	}
	for i, w := range all {
		if i%2 == 0 {
			w.Close()
		}
	}
	ws.tell(credential.Listing{Name: "x"}) // which is one too many for the others
	if n := inUse() - before; n > 1<<20 || len(ws.all) > 0 {
		t.Errorf("%d watchers that are gone take %d KB, %d are left", len(all), n>>10, len(ws.all))
	}
	runtime.KeepAlive(all)
}
