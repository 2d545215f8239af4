package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWALNewest holds that what is synced is the log that the last commit is in, also when Badger has begun others.
func TestWALNewest(t *testing.T) {
	if badgerSyncs {
		t.Skip("Badger syncs by itself")
	}
	s := newTestStore(t, Config{})
	db := s.current.db
	first := db.wal.id
	for i := range 100 {
		mustPut(t, s, rec(fmt.Sprint("k", i), strings.Repeat("v", MaxValue)))
		if w := &db.wal; w.f.Name() != w.path(w.id) || exists(w.path(w.id+1)) {
			t.Fatalf("after %d values %s is synced, and there is a later one: %t", i+1, w.f.Name(), exists(w.path(w.id+1)))
		}
	}
	if n := db.wal.id - first; n < 2 {
		t.Errorf("%d logs were begun: the test proves little", n)
	}
}

// TestWALNumbers opens the log of the highest number, which is not the last one by name.
func TestWALNumbers(t *testing.T) {
	dir := t.TempDir()
	for _, id := range []int{7, 99_999, 100_000} {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d.mem", id)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w, err := openWAL(dir)
	if err != nil || w.id != 100_000 {
		t.Errorf("got %d, %v", w.id, err)
	}
	if err := w.close(); err != nil {
		t.Error(err)
	}
}
