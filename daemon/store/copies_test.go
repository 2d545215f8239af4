package store

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"tokend/daemon/record"
)

// wantBothCopies checks that the database and the journal of s, as a kill leaves them now, have want each by itself.
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

// TestJournalFailsOnce has the journal refuse one entry: who has put it is told when the database and the journal
// have it.
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
