package journal

import (
	"crypto/cipher"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestAppendsReuseSpace: nearly all appends leave the file's length unchanged, a
// kill leaves no torn end, and a closed journal has no reserved space.
func TestAppendsReuseSpace(t *testing.T) {
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
		if end, _ := j.Grown(); grew == 0 || grew > 30 || length-end > 2*mostSpace {
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

// TestSpaceExtended: the file is extended when less than half of the reserved space would
// remain, and never during a compaction on a full disk.
func TestSpaceExtended(t *testing.T) {
	// A frame with one record: format, kind and lengths.
	const header = headerSize + 1 + sumSize + 1 + 1 + len("k") + 3
	for more := range 2 {
		path := filepath.Join(t.TempDir(), "j")
		j, _, _ := mustOpen(t, path, nil)
		was := fileSize(t, path)
		size := was - j.end - leastSpace/2 + int64(more)
		mustAppend(t, j, Entry{Commit: 1, Records: []Record{{[]byte("k"), make([]byte, size-int64(header))}}})
		if left := was - j.end; left != leastSpace/2-int64(more) {
			t.Fatalf("%d bytes would be left, want %d: the test is broken", left, leastSpace/2-more)
		}
		if grew := fileSize(t, path) > was; grew != (more > 0) {
			t.Errorf("with %d bytes less than half of the space left the file grew: %t", more, grew)
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
	if size := fileSize(t, path); size < j.end+leastSpace/2 {
		t.Errorf("after it the file has %d bytes, %d of frames: want reserved space", size, j.end)
	}
}

// TestSparseCopyReallocated opens a copy with holes instead of reserved space, as rsync -S creates
// it. The space is allocated again.
func TestSparseCopyReallocated(t *testing.T) {
	j, _, _ := mustOpen(t, filepath.Join(t.TempDir(), "journal"), nil)
	mustAppend(t, j, set(1, "k", "v"))
	b, err := os.ReadFile(j.path) // as after a kill
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
	if size := fileSize(t, copied); sparse() || size < leastSpace {
		t.Errorf("sparse: %t, %d bytes; want allocated space", sparse(), size)
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
