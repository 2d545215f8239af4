package credential

import (
	"sync"
	"sync/atomic"
	"testing"
)

// TestReadersBounded counts reads by a hostile number of uids.
func TestReadersBounded(t *testing.T) {
	var r Readers
	const uids = 10_000
	for uid := range uint32(uids) {
		if !r.Count(uid) {
			r.Add(uid, new(atomic.Int32))
			r.Count(uid)
		}
	}
	all := r.List()
	if len(all) != maxReaders+1 {
		t.Fatalf("%d counters, want %d", len(all), maxReaders+1)
	}
	rest := int64(0)
	for _, c := range all {
		switch {
		case c.Rest:
			rest += c.Reads
		case c.Reads != 1:
			t.Errorf("uid %d: %d reads, want 1", c.UID, c.Reads)
		}
	}
	if want := int64(uids - maxReaders); rest != want {
		t.Errorf("%d reads of all other uids, want %d", rest, want)
	}
	if r.Add(0, nil) || r.Add(uids, nil) {
		t.Error("a second counter of one uid")
	}
}

// TestReadersConcurrent checks that each read is counted once while counters are added.
func TestReadersConcurrent(t *testing.T) {
	var r Readers
	var wg sync.WaitGroup
	const goroutines, uids, rounds = 4, 8, 1000
	for range goroutines {
		wg.Go(func() {
			for i := range uids * rounds {
				if uid := uint32(i % uids); !r.Count(uid) {
					r.Add(uid, new(atomic.Int32))
					r.Count(uid)
				}
			}
		})
	}
	wg.Wait()
	all := r.List()
	if len(all) != uids {
		t.Fatalf("%d counters, want %d", len(all), uids)
	}
	for _, c := range all {
		if c.Reads != goroutines*rounds {
			t.Errorf("uid %d: %d reads, want %d", c.UID, c.Reads, goroutines*rounds)
		}
	}
}

func TestReadersContinue(t *testing.T) {
	var before, after Readers
	before.Add(1, new(atomic.Int32))
	before.Count(1)
	after.Continue(&before)
	if !after.Count(1) {
		t.Fatal("the counter is lost")
	}
	if got := before.List(); len(got) != 1 || got[0].Reads != 2 {
		t.Errorf("got %+v", got)
	}
	if n := testing.AllocsPerRun(100, func() { after.Count(1) }); n != 0 {
		t.Errorf("%g allocations for a read", n)
	}
}
