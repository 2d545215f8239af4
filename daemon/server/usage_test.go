package server

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"tokend/daemon/access"
	"tokend/daemon/credential"
)

// readersOf returns who has read name, for an s over a fakeEngine.
func readersOf(s *Server, name string) string {
	st, _ := s.cfg.Engine.Status(name)
	return usedBy(st.Readers, &s.audit.names)
}

func TestCountersBounded(t *testing.T) {
	s := New(Config{Engine: newFakeEngine()})
	s.counters.n.Store(maxCounters - 1)
	var first, second credential.Readers
	for range 2 {
		for uid := range uint32(3) {
			sessionOf(s, access.Peer{UID: 4_000_000_000 + uid}).count(credential.Value{Readers: &first})
		}
		sessionOf(s, access.Peer{UID: 4_000_000_000}).count(credential.Value{Readers: &second})
	}
	if got, want := usedBy(&first, &s.audit.names), "4000000000=2"; got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	if got := usedBy(&second, &s.audit.names); got != "" {
		t.Errorf("beyond the bound\n got %q\nwant nothing", got)
	}
	if n := s.counters.n.Load(); n != maxCounters {
		t.Errorf("%d counters, want %d", n, maxCounters)
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
		if got := readersOf(srv, name); got != want {
			t.Errorf("used_by of %s\n got %q\nwant %q", name, got, want)
		}
	}
	if n := srv.counters.n.Load(); n != int32(users*len(names)) {
		t.Errorf("%d counters, want %d", n, users*len(names))
	}
}
