package journal

import (
	"bytes"
	"crypto/cipher"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestTail: the end of a journal shows the last commit, wherever the last frame begins. A damaged
// end shows nothing.
func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	if _, whole, err := Tail(path, nil); !os.IsNotExist(err) || whole {
		t.Errorf("no journal: got %v, %v", whole, err)
	}
	j, _, err := Open(path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	wantTail(t, path, nil, "empty", 0, true)
	for i, size := range []int{1, MaxPayload - 100, 10, MaxPayload - 100, MaxPayload - 100} {
		e := Entry{Commit: uint64(3 * (i + 1)), Records: []Record{{Key: []byte("k"), Value: bytes.Repeat(magic, size/len(magic))}}}
		if err := j.Append(e); err != nil {
			t.Fatal(err)
		}
		wantTail(t, path, nil, "grown", e.Commit, true)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	wantTail(t, path, nil, "closed", 15, true)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, b := range map[string][]byte{
		"cut off": b[:len(b)-1], "more": append(bytes.Clone(b), 0, 1), "flipped": flipped(b, len(b)-10), "nothing": {},
	} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		wantTail(t, path, nil, what, 0, false)
	}
}

// TestTailAfterCompact: after a compaction the tail shows the last commit even if that commit is
// far from the end. Entries from elsewhere are written last and may be older.
func TestTailAfterCompact(t *testing.T) {
	eachForm(t, func(t *testing.T, aead cipher.AEAD) {
		path := filepath.Join(t.TempDir(), "j")
		j, _, _ := mustOpen(t, path, aead)
		mustAppend(t, j, set(7, "late", "7"))
		const more = 20
		if err := j.Compact(everything, func(yield func(Entry, error) bool) {
			for i := range more {
				if !yield(set(uint64(1+i%5), fmt.Sprint("k", i), strings.Repeat("v", 2*MaxPayload/more)), nil) {
					return
				}
			}
		}); err != nil {
			t.Fatal(err)
		}
		wantTail(t, path, aead, "compacted", 7, true)
		mustAppend(t, j, set(9, "k", "9"))
		wantTail(t, path, aead, "grown", 9, true)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		wantTail(t, path, aead, "closed", 9, true)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, flipped(b, 10), 0o600); err != nil {
			t.Fatal(err)
		}
		wantTail(t, path, aead, "of an unknown beginning", 0, false)
	})
}

// TestTailWithoutHead has a damaged first frame, followed by a frame longer than the part of the
// start that Tail reads. Only the first frame shows the last commit.
func TestTailWithoutHead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	if err := Create(path, nil, 9, func(yield func(Entry, error) bool) {
		_ = yield(set(1, "a", strings.Repeat("v", 2*headSize)), nil) && yield(set(2, "b", strings.Repeat("v", MaxPayload-100)), nil)
	}); err != nil {
		t.Fatal(err)
	}
	wantTail(t, path, nil, "whole", 9, true)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, flipped(b, 10), 0o600); err != nil {
		t.Fatal(err)
	}
	wantTail(t, path, nil, "damaged", 0, false)
}

// TestTailForeign has a frame of another journal near the end, before a valid frame.
func TestTailForeign(t *testing.T) {
	aead := newAEAD(t, 1)
	path, at := filled(t, aead, 4)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := filled(t, aead, 4)
	foreign, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	wantTail(t, path, aead, "whole", 4, true)
	copy(whole[at[2]:at[3]], foreign[at[2]:at[3]])
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	wantTail(t, path, aead, "with a frame of another", 0, false)
}

// unreadable is a file with a bad sector.
type unreadable struct {
	io.ReaderAt
	sector int64
}

func (u unreadable) ReadAt(b []byte, off int64) (int, error) {
	if off <= u.sector && u.sector < off+int64(len(b)) {
		return 0, syscall.EIO
	}
	return u.ReaderAt.ReadAt(b, off)
}

// TestTailUnreadable has a bad sector near the end.
func TestTailUnreadable(t *testing.T) {
	var b []byte
	f := framer{file: 1}
	for i, size := range []int{0, MaxPayload - 100, MaxPayload - 100, 10} {
		e := set(uint64(i), "k", strings.Repeat("v", size))
		if e.Number = uint64(i); i == 0 {
			e.Records = nil
		}
		var err error
		if b, err = f.append(b, e); err != nil {
			t.Fatal(err)
		}
	}
	size := int64(len(b))
	if last, whole, err := tail(bytes.NewReader(b), size, nil); last != 3 || !whole || err != nil {
		t.Fatalf("got %d, %t, %v", last, whole, err)
	}
	for _, sector := range []int64{0, size - MaxPayload + 1000, size - 1} {
		if _, whole, err := tail(unreadable{bytes.NewReader(b), sector}, size, nil); whole {
			t.Errorf("byte %d of %d is unreadable: got whole, %v", sector, size, err)
		}
	}
}

// wantTail checks the result of Tail for the journal at path. The commit does not matter if it is
// not whole.
func wantTail(t *testing.T, path string, aead cipher.AEAD, what string, want uint64, wantWhole bool) {
	t.Helper()
	last, whole, err := Tail(path, aead)
	if err != nil || whole != wantWhole || whole && last != want {
		t.Errorf("%s: got %d, %v, %v, want %d, %v", what, last, whole, err, want, wantWhole)
	}
}

func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}
