package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tokend/daemon/record"
)

// TestFilesDeletedInUse deletes files in use. Writes to them succeed and are lost.
// Acknowledged records must not be lost.
func TestFilesDeletedInUse(t *testing.T) {
	for _, tc := range []struct {
		name    string
		deleted string // a pattern in the state directory
	}{
		{"all", "*"},
		{"the journal", "*.journal"},
		{"the database", "store"},
		{"the files of the database", "store/*"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			log, said := logged()
			c := Config{Dir: newStateDir(t), Key: key1, Logger: log}
			s := newTestStore(t, c)
			mustPut(t, s, grant("g1", "1"), rec("a", "1"))
			files, err := filepath.Glob(filepath.Join(c.Dir, tc.deleted))
			if err != nil || len(files) == 0 {
				t.Fatal(files, err)
			}
			for _, f := range files {
				if err := os.RemoveAll(f); err != nil {
					t.Fatal(err)
				}
			}
			// An acknowledged grant is in the journal or the database, an acknowledged value in the
			// database.
			want := map[string]string{"g1": "1"}
			if s.Put(t.Context(), grant("g2", "2")) == nil {
				want["g2"] = "2"
			}
			eventually(t, "a Put is taken again", func() bool { return s.Put(t.Context(), rec("b", "1")) == nil })
			eventually(t, "a grant is taken again", func() bool { return s.Put(t.Context(), grant("g3", "3")) == nil })
			eventually(t, "the journal is whole", func() bool { return !s.lagging.Load() && s.journal.Failed() == nil })
			want["g3"] = "3"
			wantTable(t, s, record.Grants, want)
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			again := newTestStore(t, c)
			wantTable(t, again, record.Grants, want)
			if r, err := again.Get(record.Credentials, "b"); err != nil || string(r.Value) != "1" {
				t.Errorf("the last value: got %q, %v", r.Value, err)
			}
			if text := said.String(); !strings.Contains(text, "deleted or moved while in use") {
				t.Errorf("the deletion is not logged:\n%s", text)
			}
		})
	}
}

// TestStateDirectoryDeleted: without its directory, the store acknowledges nothing,
// and does not write to a directory that another process creates under the same name.
func TestStateDirectoryDeleted(t *testing.T) {
	for _, again := range []bool{false, true} {
		s, err := Open(Config{Dir: newStateDir(t), Key: key1})
		if err != nil {
			t.Fatal(err)
		}
		mustPut(t, s, grant("g1", "1"), rec("a", "1"))
		if err := os.RemoveAll(s.dir); err != nil {
			t.Fatal(err)
		}
		if again {
			if err := os.Mkdir(s.dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			for _, r := range []record.Record{grant("g2", "2"), rec("b", "1")} {
				if err := s.Put(t.Context(), r); !errors.Is(err, ErrFailed) {
					t.Errorf("got %v, want ErrFailed", err)
				}
			}
		}
		wantTable(t, s, record.Grants, map[string]string{"g1": "1"})
		if err := s.Close(); err == nil {
			t.Error("Close returned no error")
		}
		if entries, _ := os.ReadDir(s.dir); len(entries) != 0 {
			t.Errorf("written to another's directory: %v", entries)
		}
	}
}

// TestStateDirectoryReplaced: a journal that needs a rewrite is not written to another's
// state directory, and is rewritten once its own is back.
func TestStateDirectoryReplaced(t *testing.T) {
	s := newTestStore(t, Config{})
	mustPut(t, s, grant("g", "1"), rec("a", "1"))
	moved := s.dir + ".moved"
	if err := os.Rename(s.dir, moved); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stateDir(s.dir).journal(), []byte("another's"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := keeper{rest: stoppedTimer()}
	s.lagging.Store(true)
	if s.maintainJournal(&k) {
		t.Error("the journal reports no failure")
	}
	if b, err := os.ReadFile(stateDir(s.dir).journal()); err != nil || string(b) != "another's" {
		t.Errorf("another's journal: %.20q, %v", b, err)
	}
	if err := errors.Join(os.RemoveAll(s.dir), os.Rename(moved, s.dir)); err != nil {
		t.Fatal(err)
	}
	if !s.maintainJournal(&k) {
		t.Error("the journal still fails although the directory is back")
	}
}
