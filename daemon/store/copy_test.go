package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tokend/daemon/record"
)

// TestCopiesLost: after a power cut that undoes copies, the store has all that was put, and reports
// no loss.
func TestCopiesLost(t *testing.T) {
	if badgerSyncs {
		t.Skip("Badger syncs by itself")
	}
	c := Config{Dir: newStateDir(t), Key: key1}
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Copy(t.Context(), rec("a", "1"), rec("b", "1")); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, rec("position", "1"))
	mustPut(t, s, grant("g", "1"))
	if err := s.Copy(t.Context(), rec("b", "2")); err != nil { // the grant reaches the database with it
		t.Fatal(err)
	}
	log := s.current.db.wal.f.Name()
	synced, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if err := s.Copy(t.Context(), rec("a", "2"), rec(fmt.Sprint("c", i), "2")); err != nil {
			t.Fatal(err)
		}
	}
	wantTable(t, s, record.Holds, map[string]string{})
	if r, err := s.Get(record.Credentials, "a"); err != nil || string(r.Value) != "2" {
		t.Fatalf("got %q, %v", r.Value, err)
	}
	after := Config{Dir: newStateDir(t), Key: key1}
	copyState(t, after.Dir, c.Dir)
	if err := os.WriteFile(filepath.Join(stateDir(after.Dir).current(), filepath.Base(log)), synced, 0o600); err != nil {
		t.Fatal(err)
	}
	s = newTestStore(t, after)
	wantTable(t, s, record.Credentials, map[string]string{"a": "1", "b": "2", "position": "1"})
	wantTable(t, s, record.Grants, map[string]string{"g": "1"})
	if n := s.Missing(); n != 0 {
		t.Errorf("missing: %d", n)
	}
}

// TestCopyAfterRefusal: once the disk has taken a copy again, the store does not report that it
// refuses writes.
func TestCopyAfterRefusal(t *testing.T) {
	s := newTestStore(t, Config{})
	reserve := s.reserve.Swap(1 << 62) // the disk is full
	if err := s.Copy(t.Context(), rec("a", "1")); !errors.Is(err, ErrDiskFull) || !s.Stats().Refusing {
		t.Fatalf("got %v, refusing: %t, want ErrDiskFull", err, s.Stats().Refusing)
	}
	s.reserve.Store(reserve)
	if err := s.Copy(t.Context(), rec("a", "2")); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Refusing || st.Failed != 1 || st.Commits != 0 {
		t.Errorf("got refusing %t, %d failures, %d commits, want none, 1, 0", st.Refusing, st.Failed, st.Commits)
	}
}

// copyUntilKilled copies numbered records, as a host of a cluster does, and puts the number reached
// after some of them. It prints each number that was put.
func copyUntilKilled(dir string) error {
	s, err := Open(Config{Dir: dir, Key: key1})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for n := 1; ; n++ {
		if err := s.Copy(context.Background(), rec(fmt.Sprint("copy", n%100), fmt.Sprint(n, strings.Repeat(" ", 2000)))); err != nil {
			return err
		}
		if n%50 == 0 {
			if err := s.Put(context.Background(), rec("position", fmt.Sprint(n))); err != nil {
				return err
			}
			fmt.Println(n)
		}
	}
}
