package journal

import (
	"crypto/cipher"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestWhatIsAppendedLiesInRoomThatWasThere holds that nearly all appends leave the file as long as
// it is, that a kill leaves nothing to be cut off, and that a journal that is closed has no room.
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

// TestRoomIsMadeInTime holds when the file is made longer: when less than half of the room would be
// left, and while a compaction needs the disk not at all.
func TestRoomIsMadeInTime(t *testing.T) {
	const header = headerSize + 1 + sumSize + 1 + 1 + len("k") + 3 // of a frame with one record, and its format, kind and lengths
	for more := range 2 {
		path := filepath.Join(t.TempDir(), "j")
		j, _, _ := mustOpen(t, path, nil)
		was := fileSize(t, path)
		size := was - j.end - leastRoom/2 + int64(more)
		mustAppend(t, j, Entry{Commit: 1, Records: []Record{{[]byte("k"), make([]byte, size-int64(header))}}})
		if left := was - j.end; left != leastRoom/2-int64(more) {
			t.Fatalf("%d bytes would be left, want %d: the test is wrong", left, leastRoom/2-more)
		}
		if grew := fileSize(t, path) > was; grew != (more > 0) {
			t.Errorf("with %d bytes less than half of the room left the file grew: %t", more, grew)
		}
	}
	path := filepath.Join(t.TempDir(), "j")
	j, _, _ := mustOpen(t, path, nil)
	j.tight = true
	if err := j.Compact(everything, func(func(Entry, error) bool) {
		mustAppend(t, j, set(1, "k", "v"))
		if size := fileSize(t, path); size != j.end {
			t.Errorf("during a compaction on a full disk the file has %d bytes, %d of frames", size, j.end)
		}
	}); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, j, set(2, "k", "v"))
	if size := fileSize(t, path); size < j.end+leastRoom/2 {
		t.Errorf("after it the file has %d bytes, %d of frames: want room", size, j.end)
	}
}

// TestRoomOfSparseCopy opens a copy that has holes where the journal has room, as rsync -S makes
// it: the room is on disk again.
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
