package journal

import (
	"crypto/cipher"
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

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
