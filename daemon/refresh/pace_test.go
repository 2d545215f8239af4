package refresh

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// herd is a platform with many customers that are all in use, over a WeChat that notes who was fetched when.
type herd struct {
	*Engine
	names []string

	mu    sync.Mutex
	end   map[string]time.Time // of the value that was kept
	read  map[string]bool      // whom a reader waits for
	calls []call               // those that nobody waits for
	waits map[string]int       // the others
}

// Cached is the engine's, at this moment.
func (h *herd) Cached(name []byte) (Value, bool) { return h.Engine.Cached(name, h.Now()) }

type call struct {
	name string
	at   time.Time
}

// newHerd makes an engine over a disk with a customer for each of ages, which says how long ago its value of the
// given life was fetched. All are in use. accounts are due accounts of tokend's own.
func newHerd(t *testing.T, life time.Duration, ages []time.Duration, accounts ...Spec) *herd {
	t.Helper()
	h := &herd{end: map[string]time.Time{}, read: map[string]bool{}, waits: map[string]int{}}
	now := time.Now()
	kept := func(name string, age, life time.Duration) record.Record {
		issued := record.Moment{Wall: now.Add(-age), Since: day - age}
		return record.Credential{Name: name, Value: secret.Text("old " + name), Issued: issued, Seen: issued,
			End: record.Moment{Wall: now.Add(life - age), Since: day + life - age}, Life: life}.Encode()
	}
	d := newDisk()
	recs := []record.Record{kept(component, 0, day)}
	p := newPlatform()
	for i, age := range ages {
		child := fmt.Sprintf("wx%d", i)
		p.children = append(p.children, child)
		name := customer(child, "access_token")
		h.names = append(h.names, name)
		h.end[name] = now.Add(life - age)
		g := record.Grant{Name: customer(child, "refresh_token")}
		g.Value, g.At, g.Source = secret.Text(name), now, fromPut
		recs = append(recs, g.Encode(), kept(name, age, life))
	}
	for _, s := range accounts {
		recs = append(recs, kept(s.Name, life, life))
	}
	p.token.answers(func(_ context.Context, ask fetchers.Ask, n int) (fetchers.Token, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if name := string(ask.Grant); h.read[name] {
			h.waits[name]++
		} else {
			h.calls = append(h.calls, call{name, time.Now()})
		}
		return token(fmt.Sprint("new ", n), life), nil
	})
	if err := d.Put(t.Context(), recs...); err != nil {
		t.Fatal(err)
	}
	all := p.catalog()
	maps.Copy(all, specs(accounts...))
	var err error
	if h.Engine, err = New(Config{Store: d, Catalog: all}); err != nil {
		t.Fatal(err)
	}
	for _, name := range h.names {
		h.Cached([]byte(name))
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return h
}

// TestVeryManyDueAtOnceAreFetchedAtAPace: after a start everybody's value is due. The schedule never calls more
// often than the pace, for those first whose values end soonest; readers and the accounts' own
// credentials do not wait for it, and in the end all are fresh.
func TestVeryManyDueAtOnceAreFetchedAtAPace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n, life = 10 * crowd, 2 * time.Hour
		const most = n * time.Second / paceFloor / 4 // what is left of their lives: a quarter of them have their turn
		const least = most / 10
		ages := make([]time.Duration, n)
		for i, k := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
			ages[i] = life - least - (most-least)*time.Duration(k)/n
		}
		own := fresh(life)
		h := newHerd(t, life, ages, Spec{Name: app, Kind: StableToken, Fetcher: own})
		began := time.Now()
		synctest.Wait()
		if own.count() != 1 {
			t.Errorf("an account's own credential waits for those of customers")
		}

		// Readers of what has ended, and has not had its turn.
		time.Sleep(most + time.Second - time.Since(began))
		for i, name := range h.names {
			if _, ok := h.Cached([]byte(name)); ok || i%3 > 0 {
				continue
			}
			h.mu.Lock()
			h.read[name] = true
			h.mu.Unlock()
			asked := time.Now()
			if _, err := h.Get(t.Context(), name); err != nil || time.Since(asked) > 0 {
				t.Fatalf("a reader waited %v: %v", time.Since(asked), err)
			}
		}
		time.Sleep(time.Duration(n) * time.Second / paceFloor)
		synctest.Wait()

		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.read) == 0 {
			t.Error("no reader was in need")
		}
		if len(h.calls)+len(h.read) != n || len(h.read) != len(h.waits) {
			t.Errorf("%d calls of the schedule, and %d for %d readers; want %d in all", len(h.calls), len(h.waits), len(h.read), n)
		}
		var last time.Time
		late := false
		for i, c := range h.calls {
			if k := i - paceFloor; k >= 0 && c.at.Sub(h.calls[k].at) < time.Second {
				t.Fatalf("call %d: more than %d within a second", i, paceFloor)
			}
			if now := !h.end[c.name].After(c.at); now != late {
				late, last = now, time.Time{}
				if !late {
					t.Fatalf("call %d: for a value that lives, after one for a value that had ended", i)
				}
			}
			if h.end[c.name].Before(last) {
				t.Fatalf("call %d: for a value that ends before one that was fetched earlier", i)
			}
			last = h.end[c.name]
		}
		for _, name := range h.names {
			if _, ok := h.Cached([]byte(name)); !ok {
				t.Fatalf("%s is not there in the end", name)
			}
		}
	})
}

// TestThePaceIsEnough: however many are in use and however short their lives, no reader waits because of the pace.
func TestThePaceIsEnough(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n, life = crowd, crowd * time.Second / 100 // more than 100 calls a second are needed
		ages := make([]time.Duration, n)
		random := rand.New(rand.NewPCG(1, 2))
		for i := range ages {
			ages[i] = time.Duration(random.Int64N(int64(life * 3 / 4)))
		}
		h := newHerd(t, life, ages)
		for range 20 {
			time.Sleep(life / 4)
			for _, name := range h.names {
				if _, ok := h.Cached([]byte(name)); !ok {
					t.Fatalf("%s had to be waited for", name)
				}
			}
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if need := 5 * n; len(h.calls) < need {
			t.Errorf("%d calls in five lives of %d: not in use", len(h.calls), n)
		}
		if float64(len(h.calls))/(5*life.Seconds()) < paceFloor {
			t.Errorf("%d calls in %v: no more than the floor", len(h.calls), 5*life)
		}
	})
}

// TestWhoWaitsForThePaceIsSeenToEnd: watchers are told of a value that ends before its turn comes.
func TestWhoWaitsForThePaceIsSeenToEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ages := make([]time.Duration, 1000)
		for i := range ages {
			ages[i] = 2*time.Hour - time.Second
		}
		h := newHerd(t, 2*time.Hour, ages)
		_, w := h.Watch(platform + "/wx")
		time.Sleep(time.Second)
		synctest.Wait()
		ended := 0
		for {
			select {
			case l := <-w.Events():
				if l.State == Expired && strings.HasSuffix(l.Name, "/access_token") {
					ended++
				}
				continue
			default:
			}
			break
		}
		if ended < len(ages)-paceFloor-1 || ended == len(ages) {
			t.Errorf("%d ends were told of, want those of %d but for %d", ended, len(ages), paceFloor)
		}
	})
}

func TestGapOf(t *testing.T) {
	for _, c := range []struct {
		every time.Duration
		n     int
		want  time.Duration
	}{
		{2 * time.Hour, 1, 20 * time.Millisecond},
		{2 * time.Hour, 100_000, 20 * time.Millisecond},
		{2 * time.Hour, 1_000_000, 3600 * time.Microsecond},
		{30 * time.Second, 10_000, 1500 * time.Microsecond},
		{0, 10, 0},
		{-time.Second, 10, 0},
	} {
		if got := gapOf(c.every, c.n); got != c.want {
			t.Errorf("gapOf(%v, %d): got %v, want %v", c.every, c.n, got, c.want)
		}
	}
}
