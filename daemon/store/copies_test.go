package store

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"tokend/daemon/record"
)

// wantBothCopies checks that the database and the journal of s each have want by itself after a
// kill.
func wantBothCopies(t *testing.T, s *Store, want map[string]string) {
	t.Helper()
	for name, lost := range map[string]func(stateDir) string{"database": stateDir.current, "journal": stateDir.journal} {
		c := Config{Dir: newStateDir(t), Key: key1}
		copyState(t, c.Dir, s.dir)
		if err := os.RemoveAll(lost(stateDir(c.Dir))); err != nil {
			t.Fatal(err)
		}
		if got := contents(t, newTestStore(t, c), record.Grants); len(got) != len(want) {
			t.Errorf("without the %s: got %v, want %v", name, got, want)
		}
	}
}

// TestCrowdedJournal stores a grant while too much is pending. It bypasses the journal, which gets
// it after the database.
func TestCrowdedJournal(t *testing.T) {
	log, said := logged()
	s := newTestStore(t, Config{Key: key1, Logger: log})
	mustPut(t, s, grant("before", "1"))
	s.fillDisk(t, func() {
		s.mu.Lock()
		s.pending.bytes += maxPending
		s.mu.Unlock()
		if err := s.Put(t.Context(), grant("refused", "1")); !errors.Is(err, ErrDiskFull) {
			t.Errorf("got %v, want ErrDiskFull: the pending records are limited", err)
		}
		s.mu.Lock()
		s.pending.bytes -= maxPending
		s.mu.Unlock()
	})
	if strings.Contains(said.String(), "the grant journal refused an entry") {
		t.Error("a full disk was treated as a failed journal")
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

// TestGrantWhileLagging stores a grant while the journal lags. The database gets it first,
// because the journal may be rewritten from the database.
func TestGrantWhileLagging(t *testing.T) {
	s := newTestStore(t, Config{Key: key1})
	s.lagging.Store(true)
	mustPut(t, s, grant("g", "1"))
	if n := s.behind(); n != 0 {
		t.Errorf("%d records are only in the journal", n)
	}
	stored, err := s.current.db.stored(recordKey(record.Grants, "g"))
	if err != nil || len(stored) == 0 {
		t.Errorf("the database has %d bytes of it, %v", len(stored), err)
	}
}

// TestGrantAfterStall stores a grant when the database accepts writes again after it rejected
// another grant. The database gets both at once.
func TestGrantAfterStall(t *testing.T) {
	s := newTestStore(t, Config{Key: key1})
	s.fillDisk(t, func() {
		mustPut(t, s, grant("g", "1"))
		eventually(t, "the database refuses it", func() bool { return s.Stats().Refusing })
	})
	mustPut(t, s, grant("h", "1"))
	if n := s.behind(); n != 0 {
		t.Errorf("%d records are only in the journal", n)
	}
}

// TestGrantWhileDown stores a grant while the database is being reopened. The database gets it
// without another Put.
func TestGrantWhileDown(t *testing.T) {
	log, said := logged()
	s := newTestStore(t, Config{Key: key1, Logger: log})
	s.mu.Lock()
	s.down = ErrFailed
	s.mu.Unlock()
	if !s.Stats().Refusing {
		t.Error("Refusing is false although the database accepts nothing")
	}
	mustPut(t, s, grant("g", "1"))
	if !strings.Contains(said.String(), "are written to the journal only") {
		t.Error("log: want the message that the database lacks it")
	}
	s.wake()
	eventually(t, "the database has it", func() bool { return s.behind() == 0 })
}

// TestRewriteOnFullDisk rewrites the journal on a full disk. The ballast provides the space. It is
// not given up for other errors.
func TestRewriteOnFullDisk(t *testing.T) {
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
		rewritten := s.maintainJournal(&keeper{rest: stoppedTimer()})
		if full := refusal == syscall.ENOSPC; rewritten != full || s.ballast.whole() == full {
			t.Errorf("%v: rewritten: %t, ballast whole: %t", refusal, rewritten, s.ballast.whole())
		}
		s.journal.Refuse(nil)
	}
}

// TestJournalFailsOnce: the journal rejects one entry. Put returns when the database and the
// journal have it.
func TestJournalFailsOnce(t *testing.T) {
	for _, operation := range []string{"sync", "write", "truncate"} {
		t.Run(operation, func(t *testing.T) {
			log, said := logged()
			s := newTestStore(t, Config{Key: key1, Logger: log})
			mustPut(t, s, grant("before", "1"))
			refusals := []string{operation}
			if operation == "truncate" {
				// An entry that could not be synced is cut off.
				refusals = []string{"sync", "truncate"}
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
				t.Errorf("lagging: %t, failed: %v; want it rewritten", s.lagging.Load(), s.journal.Failed())
			}
			eventually(t, "the database has followed", func() bool { return s.behind() == 0 })
			wantBothCopies(t, s, map[string]string{"before": "1", "refused": "1"})
			mustPut(t, s, grant("after", "1"))
			if n := strings.Count(said.String(), "the grant journal refused an entry"); n != 1 {
				t.Errorf("logged %d times, want once:\n%s", n, said)
			}
		})
	}
}
