package server

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"tokend/daemon/access"
	"tokend/daemon/credential"
)

// usedBy is who has been given name, of an s over a fakeEngine.
func usedBy(s *Server, name string) string {
	st, _ := s.cfg.Engine.Status(name)
	return describe(st.Peg, &s.audit.names)
}

// Hostile numbers of names and uids: what is counted of them is bounded.
func TestUsageIsBounded(t *testing.T) {
	var u usage
	var ns names
	var peg credential.Peg
	for uid := range uint32(10_000) {
		u.of(&peg, 4_000_000_000+uid).n.Add(1)
	}
	if n := peg.Load().(*readers).len(); n != maxReaders+1 || u.n != n {
		t.Errorf("%d counters of one credential, %d in all, want %d", n, u.n, maxReaders+1)
	}
	if got, want := describe(&peg, &ns), fmt.Sprintf("others=%d,", 10_000-maxReaders); !strings.HasPrefix(got, want) {
		t.Errorf("\n got %.100q\nwant %q at its beginning", got, want)
	}
	u.n = maxCounters - 100
	pegs := make([]credential.Peg, 1000)
	for i := range pegs {
		u.of(&pegs[i], 1).n.Add(1)
		u.of(&pegs[0], uint32(1+i)).n.Add(1)
	}
	if u.n != maxCounters {
		t.Errorf("%d counters, want %d", u.n, maxCounters)
	}
	counted := pegs[0].Load().(*readers).len()
	for i := range pegs[1:] {
		if pegs[1+i].Load() != nil {
			counted++
		}
	}
	if counted != 100 {
		t.Errorf("%d counters are new, want 100", counted)
	}
	if got := u.rest.n.Load(); got == 0 {
		t.Error("nothing is counted together")
	}
	if got := describe(&pegs[999], &ns); got != "" {
		t.Errorf("of what has no counter\n got %q\nwant nothing", got)
	}
	// What goes makes room.
	peg.Load().Gone()
	if u.n != maxCounters-maxReaders-1 {
		t.Errorf("%d counters when %d have gone, want %d", u.n, maxReaders+1, maxCounters-maxReaders-1)
	}
	u.of(&pegs[999], 4_000_000_007).n.Add(3)
	if got, want := describe(&pegs[999], &ns), "4000000007=3"; got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	// One who meets it only now takes none of that room, which nobody would give back.
	n := u.n
	pegs[999].Load().Gone()
	if u.of(&pegs[999], 8); u.n != n-1 {
		t.Errorf("%d counters, want %d", u.n, n-1)
	}
	// And what comes after it begins anew.
	var again credential.Peg
	u.of(&again, 4_000_000_000).n.Add(1)
	if got, want := describe(&again, &ns), "4000000000=1"; got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// Many sessions of several users read the same credentials at once, from the first time on; each
// read is counted once, by whom it was.
func TestUsageIsExact(t *testing.T) {
	engine := newFakeEngine()
	srv := New(Config{Engine: engine, Limits: Limits{UserRate: unslowed}})
	const sessions, users, rounds = 16, 4, 100
	names := []string{token, ticket, workToken}
	request := []byte("GET " + strings.Join(names, "\nGET ") + "\n")
	var wg sync.WaitGroup
	for i := range sessions {
		s := sessionOf(srv, access.Peer{UID: 4_000_000_000 + uint32(i%users)})
		wg.Go(func() {
			for range rounds {
				s.out = s.out[:0]
				if n, next := s.step(request); n != len(request) || next != more {
					t.Errorf("%d bytes are consumed, then %v", n, next)
					return
				}
			}
		})
	}
	wg.Wait()
	each := sessions / users * rounds
	want := fmt.Sprintf("4000000000=%d,4000000001=%d,4000000002=%d,4000000003=%d", each, each, each, each)
	for _, name := range names {
		if got := usedBy(srv, name); got != want {
			t.Errorf("used_by of %s\n got %q\nwant %q", name, got, want)
		}
	}
	if srv.usage.n != users*len(names) || srv.usage.rest.n.Load() != 0 {
		t.Errorf("%d counters and %d reads without, want %d and none", srv.usage.n, srv.usage.rest.n.Load(), users*len(names))
	}
}
