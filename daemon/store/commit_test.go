package store

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"tokend/daemon/record"
)

// newIdleStore returns a store without a running committer. Two records fit in a group.
func newIdleStore() *Store {
	return &Store{
		maxBytes: 1060, maxCount: 2, drainTimer: newDrainTimer(),
		queue:   make(chan *put, 10),
		closing: make(chan struct{}),
		stopped: make(chan struct{}),
	}
}

func TestQueuedPutCanceled(t *testing.T) {
	s := newIdleStore()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() { result <- s.Put(ctx, rec("a", "1")) }()
	p := <-s.queue
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	var g group
	if next := s.gather(&g, p); next != nil || len(g.puts) != 0 {
		t.Errorf("an abandoned Put was gathered: %+v", g)
	}
}

func TestTakenPutNotCanceled(t *testing.T) {
	s := newIdleStore()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() { result <- s.Put(ctx, rec("a", "1")) }()
	var g group
	s.gather(&g, <-s.queue)
	cancel()
	g.puts[0].done <- nil
	if err := <-result; err != nil {
		t.Errorf("got %v, want the result of the commit", err)
	}
}

func TestGroupLimits(t *testing.T) {
	s := newIdleStore()
	enqueue := func(recs ...record.Record) {
		p, err := s.newPut(recs)
		if err != nil {
			t.Fatal(err)
		}
		s.queue <- p
	}
	enqueue(rec("a", "1"))
	enqueue(rec("b", "1"))
	enqueue(rec("c", "1"))
	enqueue(rec("d", strings.Repeat("v", 950)))
	enqueue(rec("e", strings.Repeat("v", 950)))
	var got []string
	var next *put
	for len(s.queue) > 0 || next != nil {
		if next == nil {
			next = <-s.queue
		}
		var g group
		next = s.gather(&g, next)
		var keys []string
		for _, e := range g.entries {
			keys = append(keys, string(e.key[len(e.key)-1]))
		}
		got = append(got, strings.Join(keys, ""))
	}
	if g, want := strings.Join(got, " "), "ab c d e"; g != want {
		t.Errorf("groups: got %q, want %q", g, want)
	}
}

// TestGroupTakesRunnablePuts: a Put whose goroutine is runnable when a commit ends is in the next
// group.
func TestGroupTakesRunnablePuts(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // with more, Puts and committer run in parallel
	s := newIdleStore()
	s.maxBytes, s.maxCount = 1<<20, 100
	puts := make([]*put, 5)
	for i := range puts {
		p, err := s.newPut([]record.Record{rec("a", "1")})
		if err != nil {
			t.Fatal(err)
		}
		puts[i] = p
	}
	var wg sync.WaitGroup
	for _, p := range puts[1:] {
		wg.Go(func() { s.queue <- p })
	}
	var g group
	if next := s.gather(&g, puts[0]); next != nil || len(g.puts) != len(puts) {
		t.Errorf("%d of %d are in the group", len(g.puts), len(puts))
	}
	wg.Wait()
}

func TestReopenAfterFailedCommit(t *testing.T) {
	log, said := logged()
	s := newTestStore(t, Config{Logger: log, Key: key1})
	mustPut(t, s, rec("a", "1"), grant("g", "1"))
	s.failDatabase(t)
	if err := s.Put(t.Context(), rec("a", "2")); !errors.Is(err, ErrFailed) {
		t.Errorf("got %v, want ErrFailed", err)
	}
	eventually(t, "a Put is taken again", func() bool { return s.Put(t.Context(), rec("a", "3")) == nil })
	wantTable(t, s, record.Credentials, map[string]string{"a": "3"})
	wantTable(t, s, record.Grants, map[string]string{"g": "1"})
	if n := strings.Count(said.String(), "the disk refused a commit"); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
	if !strings.Contains(said.String(), "database has been reopened") || s.Missing() != 0 {
		t.Errorf("missing %d; log:\n%s", s.Missing(), said)
	}
}

// failDatabase makes commits fail, as on a disk that rejects writes, until the database is
// reopened.
func (s *Store) failDatabase(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	db := s.current.db
	s.mu.Unlock()
	if err := db.DB.Close(); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: timeout after a minute", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
