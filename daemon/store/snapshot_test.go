package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
)

func TestSnapshot(t *testing.T) {
	c, grants, credentials := rekeyed(t, key1)
	s := newTestStore(t, c)
	before := names(t, c.Dir)
	f, size, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, c.Dir); len(got) != len(before) {
		t.Errorf("the file has a name: got %q, want %q", got, before)
	}
	if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 || info.Size() != size {
		t.Errorf("got %v, %v, want mode 0600 and %d bytes", info, err, size)
	}
	backup, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if int64(len(backup)) != size || bytes.Contains(backup, []byte(canary)) {
		t.Errorf("got %d bytes of %d, in clear: %t", len(backup), size, bytes.Contains(backup, []byte(canary)))
	}
	to := Config{Dir: newStateDir(t), Key: key1}
	if err := Restore(to, bytes.NewReader(backup)); err != nil {
		t.Fatal(err)
	}
	wantState(t, to, grants, nil, credentials)
}

// If the disk has no space beyond the reserve, or the caller has left, nothing remains and commits
// continue.
func TestSnapshotFails(t *testing.T) {
	c, _, _ := rekeyed(t, nil)
	s := newTestStore(t, c)
	before := names(t, c.Dir)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if f, _, err := s.Snapshot(gone); f != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("caller gone: got %v", err)
	}
	free, err := freeSpace(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	reserve := s.reserve.Swap(free + 1<<30)
	f, _, err := s.Snapshot(t.Context())
	s.reserve.Store(reserve)
	if f != nil || !errors.Is(err, ErrDiskFull) {
		t.Errorf("no space: got %v, want ErrDiskFull", err)
	}
	if got := names(t, c.Dir); len(got) != len(before) {
		t.Errorf("left behind: got %q, want %q", got, before)
	}
	mustPut(t, s, grant("after", "it"))
}

// names returns the names in dir.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}
