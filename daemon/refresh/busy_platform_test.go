package refresh

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// busyPlatform is a platform with many customers that are all in use, over a WeChat that notes who
// was fetched when.
type busyPlatform struct {
	*Engine
	names []string

	mu      sync.Mutex
	away    bool                 // WeChat does not answer
	latency time.Duration        // of its answers
	end     map[string]time.Time // of the value that was kept
	read    map[string]bool      // whom a reader waits for
	calls   []call               // those that nobody waits for, as far as they have been answered
	failed  []time.Time          // of those that have not been
	waits   map[string]int       // the others
	now     int                  // calls under way
	most    int                  // at once
}

// late returns how many were fetched after their value had expired, and fails for those that were
// not fetched, or twice.
func (h *busyPlatform) late(t *testing.T) (n int) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := make(map[string]bool, len(h.calls))
	for _, c := range h.calls {
		if seen[c.name] {
			t.Fatalf("%s was fetched twice", c.name)
		}
		seen[c.name] = true
		if !h.end[c.name].After(c.at) {
			n++
		}
	}
	if len(seen) != len(h.names) {
		t.Fatalf("%d of %d were fetched", len(seen), len(h.names))
	}
	return n
}

// seconds returns how many calls were answered in each second from the first one on.
func (h *busyPlatform) seconds() (counts []int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.calls {
		s := int(c.at.Sub(h.calls[0].at) / time.Second)
		for len(counts) <= s {
			counts = append(counts, 0)
		}
		counts[s]++
	}
	return counts
}

// mustGrowSlowly fails if there were more calls in a second than the pace allows after the one
// before.
func (h *busyPlatform) mustGrowSlowly(t *testing.T) {
	t.Helper()
	before := 0
	for i, n := range h.seconds() {
		// Two at most fall into a second because of where it begins.
		if most := min(paceGrowth*max(paceFloor, before), paceCeiling) + 2; n > most {
			t.Fatalf("%d calls in second %d after %d in the one before", n, i, before)
		}
		before = n
	}
}

// Cached is the engine's, at this moment.
func (h *busyPlatform) Cached(name []byte) (credential.Value, bool) {
	return h.Engine.Cached(name, h.Now())
}

type call struct {
	name string
	at   time.Time
}

// newBusyPlatform makes an engine and runs it.
func newBusyPlatform(t *testing.T, life time.Duration, ages []time.Duration, accounts ...Spec) *busyPlatform {
	t.Helper()
	h := makeBusyPlatform(t, life, ages, accounts...)
	h.run(t)
	return h
}

// makeBusyPlatform makes an engine over a disk with a customer for each of ages, which says how
// long ago its value of the given life was fetched. All are in use. accounts are due accounts of
// tokend's own.
func makeBusyPlatform(t *testing.T, life time.Duration, ages []time.Duration, accounts ...Spec) *busyPlatform {
	t.Helper()
	h := &busyPlatform{end: map[string]time.Time{}, read: map[string]bool{}, waits: map[string]int{}}
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
		at, away := time.Now(), h.away
		h.now++
		h.most = max(h.most, h.now)
		if h.latency > 0 {
			h.mu.Unlock()
			time.Sleep(h.latency)
			h.mu.Lock()
		}
		h.now--
		if away {
			h.failed = append(h.failed, at)
			return fetchers.Token{}, &fetchers.TransportError{Endpoint: "/", Sent: true, Err: context.DeadlineExceeded}
		}
		if name := string(ask.Grant); h.read[name] {
			h.waits[name]++
		} else {
			h.calls = append(h.calls, call{name, at})
		}
		return token(fmt.Sprint("new ", n), life), nil
	})
	if err := d.Put(t.Context(), recs...); err != nil {
		t.Fatal(err)
	}
	all := p.catalog()
	maps.Copy(all, specs(accounts...))
	var err error
	if h.Engine, err = New(Config{Hosts: bothHosts, Store: d, Catalog: all}); err != nil {
		t.Fatal(err)
	}
	for _, name := range h.names {
		h.Cached([]byte(name))
	}
	return h
}

// run runs the engine until the test ends.
func (h *busyPlatform) run(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// ageing returns n ages of values of a life that have from least to most left of it, in no order.
func ageing(n int, life, least, most time.Duration) []time.Duration {
	ages := make([]time.Duration, n)
	for i, k := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
		ages[i] = life - least - (most-least)*time.Duration(k)/time.Duration(n)
	}
	return ages
}
