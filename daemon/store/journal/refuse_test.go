package journal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// refuse makes the next operations on j with these names fail, once each and in this order.
func refuse(j *Journal, operations ...string) {
	j.Refuse(func(operation string) error {
		if len(operations) == 0 || operation != operations[0] {
			return nil
		}
		operations = operations[1:]
		return syscall.EIO
	})
}

// wantAfterKill checks what a start after a kill finds of j: the entries, and no torn end.
func wantAfterKill(t *testing.T, j *Journal, want string) {
	t.Helper()
	b, err := os.ReadFile(j.path)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "j")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, rep, got := mustOpen(t, path, j.aead)
	wantEntries(t, got, want)
	if rep.Torn > 0 || rep.Damaged() {
		t.Errorf("got %+v, want it whole", rep)
	}
}

// TestAppendRefused: the disk rejects an entry. The entry is gone, and the journal accepts others
// only if the content of the disk is known.
func TestAppendRefused(t *testing.T) {
	for _, test := range []struct {
		name    string
		refused []string
		failed  bool
	}{
		{"half written", []string{"write"}, false},
		{"half written, not truncated", []string{"write", "truncate"}, true},
		{"not synced", []string{"sync"}, true},
		{"not synced, not truncated", []string{"sync", "truncate"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			j, _, _ := mustOpen(t, filepath.Join(t.TempDir(), "j"), newAEAD(t, 1))
			mustAppend(t, j, set(1, "a", "1"))
			refuse(j, test.refused...)
			err := j.Append(set(2, "b", strings.Repeat("2", 1000)))
			if !errors.Is(err, syscall.EIO) || errors.Is(err, ErrFailed) != (test.refused[0] == "sync") {
				t.Errorf("got %v", err)
			}
			if test.refused[len(test.refused)-1] != "truncate" {
				wantAfterKill(t, j, "1 a=1")
			}
			if err := j.Failed(); (err != nil) != test.failed {
				t.Errorf("failed: got %v, want %t", err, test.failed)
			}
			err = j.Append(set(3, "c", "3"))
			if errors.Is(err, ErrFailed) != test.failed || err == nil == test.failed {
				t.Errorf("the next one: got %v, want ErrFailed: %t", err, test.failed)
			}
			want := "1 a=1; 3 c=3"
			if test.failed {
				want = "1 a=1"
			}
			if err := j.Compact(everything, nil); err != nil || j.Failed() != nil {
				t.Errorf("compacted: got %v, failed %v", err, j.Failed())
			}
			mustAppend(t, j, set(4, "d", "4"))
			wantAfterKill(t, j, want+"; 4 d=4")
		})
	}
}

// TestCompactRefused rejects each operation of a compaction with a concurrent append. The journal
// is unchanged, and no other file is left.
func TestCompactRefused(t *testing.T) {
	for refused := 1; ; refused++ {
		j, _, _ := mustOpen(t, filepath.Join(t.TempDir(), "j"), nil)
		mustAppend(t, j, set(1, "a", "1"))
		operations, appending := 0, false
		j.Refuse(func(string) error {
			if appending {
				return nil
			}
			if operations++; operations == refused {
				return syscall.EIO
			}
			return nil
		})
		err := j.Compact(everything, func(yield func(Entry, error) bool) {
			appending = true
			mustAppend(t, j, set(2, "b", "2"))
			appending = false
		})
		appending = true
		if _, e := os.Stat(j.path + newSuffix); !os.IsNotExist(e) {
			t.Errorf("operation %d: the new file is left behind, %v", refused, e)
		}
		mustAppend(t, j, set(3, "c", "3"))
		wantAfterKill(t, j, "1 a=1; 2 b=2; 3 c=3")
		if operations < refused {
			// A write and a sync for the copy, and for the appended entries.
			if err != nil || operations < 4 {
				t.Errorf("after %d operations: got %v", operations, err)
			}
			return
		}
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("operation %d: got %v, want the disk's error", refused, err)
		}
	}
}

// TestFrameLimits reads a frame with the largest payload, and does not trust a header with a larger
// length.
func TestFrameLimits(t *testing.T) {
	const overhead = 1 + 1 + 1 + len("k") + 3 // format, kind, length, key, length
	largest := set(1, "k", strings.Repeat("v", MaxPayload-overhead))
	path := filepath.Join(t.TempDir(), "j")
	j, _, _ := mustOpen(t, path, nil)
	mustAppend(t, j, largest)
	wantTail(t, path, nil, "with the largest at the end", 1, true)
	if err := j.Append(set(2, "k", strings.Repeat("v", MaxPayload-overhead+1))); !errors.Is(err, errTooLarge) {
		t.Errorf("one byte more: got %v, want %v", err, errTooLarge)
	}
	mustAppend(t, j, set(3, "l", "3"))
	wantAfterKill(t, j, "1 k="+string(largest.Records[0].Value)+"; 3 l=3")
	wantTail(t, path, nil, "with a small one behind the largest", 3, true)
	if size, _ := j.Grown(); size != 2*(headerSize+sumSize)+1+MaxPayload+headerSize+1+recordsSizeOf("l", "3")+sumSize {
		t.Errorf("the journal has %d bytes: the first entry is not the largest", size)
	}

	// Frames after a header with too large a length are read.
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := parseHeader(b)
	at := first.size()
	planted := header{length: MaxPayload + 1, file: first.file, number: 1, commit: 1}.append(nil)
	b = append(append(bytes.Clone(b[:at]), planted...), b[at:]...)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, rep, got := mustOpen(t, path, nil)
	wantEntries(t, got, "1 k="+string(largest.Records[0].Value)+"; 3 l=3")
	if rep.Skipped != headerSize {
		t.Errorf("got %+v, want the header skipped", rep)
	}
}

// TestRecordsRefused parses records that no version of this format writes. They are rejected.
func TestRecordsRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"an unknown kind": {kindSet + 1, 1, 'k'},
		"no key":          {kindSet, 0, 1, 'v'},
		"a key cut short": {kindDelete, 2, 'k'},
		"no value":        {kindSet, 1, 'k'},
	} {
		if recs, err := parseRecords(nil, b); !errors.Is(err, errForeign) {
			t.Errorf("%s: got %v, %v; want %v", name, recs, err, errForeign)
		}
	}
}

// TestSpaceRejected: the disk has no space to reserve. The reserved space is released for a
// compaction, and Tight reports true until there is space again.
func TestSpaceRejected(t *testing.T) {
	j, _, _ := mustOpen(t, filepath.Join(t.TempDir(), "j"), nil)
	if j.Tight() {
		t.Error("Tight with free space")
	}
	was := fileSize(t, j.path)
	more := func(operations ...string) {
		refuse(j, operations...)
		j.mu.Lock()
		defer j.mu.Unlock()
		j.reserve(was - j.end)
	}
	more("write")
	if size := fileSize(t, j.path); !j.Tight() || size != was {
		t.Errorf("tight: %t, %d bytes; want the %d from before", j.Tight(), size, was)
	}
	more()
	if size := fileSize(t, j.path); j.Tight() || size <= was {
		t.Errorf("tight: %t, %d bytes; want more than %d", j.Tight(), size, was)
	}
}

// TestSeekAcrossBlocks: a frame begins after as much damage as is scanned at a time, and some bytes
// less or more.
func TestSeekAcrossBlocks(t *testing.T) {
	path, at := filled(t, nil, 2)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := 4096 - 2*len(magic); n <= 4096+2*len(magic); n++ {
		damaged := append(append(bytes.Clone(b[:at[1]]), bytes.Repeat([]byte{'x'}, n)...), b[at[1]:]...)
		s, err := scan(bytes.NewReader(damaged), 0, int64(len(damaged)), 0, nil, nil)
		if err != nil || s.rep.Entries != 2 || s.rep.Skipped != int64(n) {
			t.Errorf("behind %d bytes: got %+v, %v", n, s.rep, err)
		}
	}
}

func recordsSizeOf(key, value string) int64 {
	return int64(recordsSize([]Record{{[]byte(key), []byte(value)}}))
}
