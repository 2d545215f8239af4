package journal

import (
	"crypto/cipher"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestWhatIsAppendedLiesInRoomThatWasThere holds that nearly all appends leave the file as long as it is, that
// a kill leaves nothing to be cut off, and that a journal that is closed has no room.
func TestWhatIsAppendedLiesInRoomThatWasThere(t *testing.T) {
	eachForm(t, func(t *testing.T, aead cipher.AEAD) {
		path := filepath.Join(t.TempDir(), "j")
		j, _, _ := mustOpen(t, path, aead)
		value := make([]byte, 1000)
		length, grew := fileSize(t, path), 0
		const appends = 3000
		for i := range appends {
			mustAppend(t, j, Entry{Commit: uint64(i + 1), Records: []Record{{[]byte("k"), value}}})
			if now := fileSize(t, path); now != length {
				length = now
				grew++
			}
		}
		if end, _ := j.Grown(); grew == 0 || grew > 30 || length-end > 2*mostRoom {
			t.Errorf("the file grew %d times in %d appends, to %d bytes with %d of frames", grew, appends, length, end)
		}
		left, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		killed := filepath.Join(t.TempDir(), "j")
		if err := os.WriteFile(killed, left, 0o600); err != nil {
			t.Fatal(err)
		}
		again, rep, _ := mustOpen(t, killed, aead)
		if rep.Torn != 0 || rep.Damaged() || rep.Entries != appends || rep.Last != appends {
			t.Errorf("after a kill: got %+v", rep)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if end, _ := again.Grown(); fileSize(t, path) != end {
			t.Errorf("closed, the file has %d bytes, %d of frames", fileSize(t, path), end)
		}
	})
}

// TestRoomOfSparseCopy opens a copy that has holes where the journal has room, as rsync -S makes it: the room
// is on disk again.
func TestRoomOfSparseCopy(t *testing.T) {
	j, _, _ := mustOpen(t, filepath.Join(t.TempDir(), "journal"), nil)
	mustAppend(t, j, set(1, "k", "v"))
	b, err := os.ReadFile(j.path) // as a kill leaves it
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "journal")
	if err := errors.Join(os.WriteFile(copied, b[:j.end], 0o600), os.Truncate(copied, int64(len(b)))); err != nil {
		t.Fatal(err)
	}
	sparse := func() bool {
		info, err := os.Stat(copied)
		if err != nil {
			t.Fatal(err)
		}
		return Sparse(info)
	}
	if !sparse() {
		t.Skip("this file system makes no holes")
	}
	_, _, got := mustOpen(t, copied, nil)
	wantEntries(t, got, "1 k=v")
	if size := fileSize(t, copied); sparse() || size < leastRoom {
		t.Errorf("sparse: %t, %d bytes; want room on disk", sparse(), size)
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
