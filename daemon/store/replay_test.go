package store

import (
	"testing"

	"tokend/daemon/record"
)

// wantAfterKill checks what a start after a kill finds in the state of s.
func wantAfterKill(t *testing.T, s *Store, grants, credentials map[string]string) {
	t.Helper()
	c := Config{Dir: newStateDir(t), Key: key1}
	copyState(t, c.Dir, s.dir)
	again := newTestStore(t, c)
	wantTable(t, again, record.Grants, grants)
	wantTable(t, again, record.Credentials, credentials)
}

// TestNoOlderTokenReplayed: the journal has an older token than the database. The replay at a start
// after a kill does not bring it back.
func TestNoOlderTokenReplayed(t *testing.T) {
	s := newTestStore(t, Config{Key: key1})
	mustPut(t, s, grant("g", "1"), rec("a", "1")) // the journal has a too
	mustPut(t, s, rec("a", "2"))                  // only the database, which now has everything before
	mustPut(t, s, grant("g", "2"))                // only the journal, for a tenth of a second
	wantAfterKill(t, s, map[string]string{"g": "2"}, map[string]string{"a": "2"})
}

// TestCompactionKeepsPending compacts a journal with tokens and a deletion that the database lacks.
func TestCompactionKeepsPending(t *testing.T) {
	s := newTestStore(t, Config{Key: key1})
	mustPut(t, s, grant("g", "1"), rec("a", "1"), rec("b", "1"))
	mustPut(t, s, rec("z", "1")) // the database has everything before
	mustPut(t, s, grant("g", "2"), rec("a", "2"), record.Record{Table: record.Credentials, Key: "b"})
	if err := s.rewriteJournal(); err != nil {
		t.Fatal(err)
	}
	wantAfterKill(t, s, map[string]string{"g": "2"}, map[string]string{"a": "2", "z": "1"})
}
