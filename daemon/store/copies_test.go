package store

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"tokend/daemon/record"
)

// wantBothCopies checks that the database and the journal of s, as a kill leaves them now, have
// want each by itself.
func wantBothCopies(t *testing.T, s *Store, want map[string]string) {
	t.Helper()
	for name, lost := range map[string]func(place) string{"database": place.current, "journal": place.journal} {
		c := Config{Dir: newStateDir(t), Key: key1}
		copyState(t, c.Dir, s.dir)
		if err := os.RemoveAll(lost(place(c.Dir))); err != nil {
			t.Fatal(err)
		}
		if got := contents(t, newTestStore(t, c), record.Grants); len(got) != len(want) {
			t.Errorf("without the %s: got %v, want %v", name, got, want)
		}
	}
}

// TestCrowdedJournal puts a grant while more is pending than may be: it goes past the journal, and
// gets there when the database has it.
func TestCrowdedJournal(t *testing.T) {
	log, said := logged()
	s := newTestStore(t, Config{Key: key1, Logger: log})
	mustPut(t, s, grant("before", "1"))
	s.fillDisk(t, func() {
		s.mu.Lock()
		s.pending.bytes += maxPending
		s.mu.Unlock()
		if err := s.Put(t.Context(), grant("refused", "1")); !errors.Is(err, ErrDiskFull) {
			t.Errorf("got %v, want ErrDiskFull: what is pending has a limit", err)
		}
		s.mu.Lock()
		s.pending.bytes -= maxPending
		s.mu.Unlock()
	})
	if strings.Contains(said.String(), "the grant journal refused an entry") {
		t.Error("a full disk was taken for a journal that fails")
	}
	eventually(t, "the database takes what was pending", func() bool { return s.behind() == 0 })
	s.mu.Lock()
	s.pending.bytes = maxPending + 1
	s.mu.Unlock()
	mustPut(t, s, grant("crowded", "1"))
	if s.lagging.Load() {
		t.Error("the journal lacks it")
	}
	wantBothCopies(t, s, map[string]string{"before": "1", "crowded": "1"})
}

// TestLaggingGrantInDatabase puts a grant while the journal lacks something: the journal may be
// replaced by one that is made from the database, so that has it first.
func TestLaggingGrantInDatabase(t *testing.T) {
	s := newTestStore(t, Config{Key: key1})
	s.lagging.Store(true)
	mustPut(t, s, grant("g", "1"))
	if n := s.behind(); n != 0 {
		t.Errorf("%d records are in the journal alone", n)
	}
	stored, err := s.current.db.stored(recordKey(record.Grants, "g"))
	if err != nil || len(stored) == 0 {
		t.Errorf("the database has %d bytes of it, %v", len(stored), err)
	}
}

// TestGrantAfterStall puts a grant when the database, which has refused the one before, takes
// values again: it gets both at once.
func TestGrantAfterStall(t *testing.T) {
	s := newTestStore(t, Config{Key: key1})
	s.fillDisk(t, func() {
		mustPut(t, s, grant("g", "1"))
		eventually(t, "the database refuses it", func() bool { return s.Stats().Refusing })
	})
	mustPut(t, s, grant("h", "1"))
	if n := s.behind(); n != 0 {
		t.Errorf("%d records are in the journal alone", n)
	}
}

// TestGrantWhileDown puts a grant while the database is being opened again: it gets that without
// another Put.
func TestGrantWhileDown(t *testing.T) {
	log, said := logged()
	s := newTestStore(t, Config{Key: key1, Logger: log})
	s.mu.Lock()
	s.down = ErrFailed
	s.mu.Unlock()
	if !s.Stats().Refusing {
		t.Error("the database takes nothing, and that is not said")
	}
	mustPut(t, s, grant("g", "1"))
	if !strings.Contains(said.String(), "are written to the journal only") {
		t.Error("log: want it said that the database lacks it")
	}
	s.wake()
	eventually(t, "the database has it", func() bool { return s.behind() == 0 })
}

// TestMendOnFullDisk rewrites the journal on a full disk: the ballast gives the room, and is not
// given up for other errors.
func TestMendOnFullDisk(t *testing.T) {
	for _, refusal := range []error{syscall.ENOSPC, syscall.EIO} {
		s := newTestStore(t, Config{Key: key1})
		mustPut(t, s, grant("g", "1"))
		tries := 0
		s.journal.Refuse(func(operation string) error {
			if operation != "sync" {
				return nil
			}
			if tries++; tries > 1 {
				return nil
			}
			return refusal
		})
		s.lagging.Store(true)
		mended := s.tendJournal(&keeper{rest: stoppedTimer()})
		if full := refusal == syscall.ENOSPC; mended != full || s.ballast.whole() == full {
			t.Errorf("%v: mended: %t, ballast whole: %t", refusal, mended, s.ballast.whole())
		}
		s.journal.Refuse(nil)
	}
}

// TestJournalFailsOnce has the journal refuse one entry: who has put it is told when the database
// and the journal have it.
func TestJournalFailsOnce(t *testing.T) {
	for _, operation := range []string{"sync", "write", "truncate"} {
		t.Run(operation, func(t *testing.T) {
			log, said := logged()
			s := newTestStore(t, Config{Key: key1, Logger: log})
			mustPut(t, s, grant("before", "1"))
			refusals := []string{operation}
			if operation == "truncate" {
				refusals = []string{"sync", "truncate"} // what could not be synced is cut off
			}
			s.journal.Refuse(func(op string) error {
				if len(refusals) == 0 || op != refusals[0] {
					return nil
				}
				refusals = refusals[1:]
				return syscall.EIO
			})
			mustPut(t, s, grant("refused", "1"))
			if s.lagging.Load() || s.journal.Failed() != nil {
				t.Errorf("lagging: %t, failed: %v; want it written anew", s.lagging.Load(), s.journal.Failed())
			}
			eventually(t, "the database has followed", func() bool { return s.behind() == 0 })
			wantBothCopies(t, s, map[string]string{"before": "1", "refused": "1"})
			mustPut(t, s, grant("after", "1"))
			if n := strings.Count(said.String(), "the grant journal refused an entry"); n != 1 {
				t.Errorf("said %d times, want once:\n%s", n, said)
			}
		})
	}
}
