package journal

import (
	"bytes"
	"crypto/cipher"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestCompact(t *testing.T) {
	eachForm(t, func(t *testing.T, aead cipher.AEAD) {
		path := filepath.Join(t.TempDir(), "j")
		j, _, _ := mustOpen(t, path, aead)
		mustAppend(t, j, set(1, "a", "1"), set(2, "b", "2"), del(3, "c"), set(4, "a", "4"), set(5, "d", "5"))
		mustAppend(t, j, Entry{Commit: 6, Records: []Record{{[]byte("e"), []byte("6")}, {[]byte("e"), []byte("7")}, {[]byte("d"), nil}}})
		more := func(yield func(Entry, error) bool) {
			_ = yield(set(3, "a", "older"), nil) && yield(set(4, "a", "same"), nil) &&
				yield(set(7, "b", "newer"), nil) && yield(set(2, "f", "unknown"), nil)
		}
		if err := j.Compact(notDeleted, more); err != nil {
			t.Fatal(err)
		}
		size, since := j.Grown()
		if since != 0 || size == 0 {
			t.Errorf("grown: got %d, %d", size, since)
		}
		mustAppend(t, j, set(8, "g", "8"))
		_ = j.Close()
		_, rep, got := mustOpen(t, path, aead)
		wantEntries(t, got, "2 b=2; 4 a=4; 6 e=7; 7 b=newer; 2 f=unknown; 8 g=8")
		if rep.Last != 8 || rep.Damaged() || rep.Torn != 0 {
			t.Errorf("got %+v", rep)
		}
		if _, err := os.Stat(path + newSuffix); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left behind", newSuffix)
		}
	})
}

func TestCompactKeepsLastCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, _, _ := mustOpen(t, path, nil)
	mustAppend(t, j, set(7, "a", "1"), del(8, "a"))
	none := func(uint64, Record) bool { return false }
	more := func(yield func(Entry, error) bool) { yield(set(9, "b", "1"), nil) }
	for i, of := range []func() error{
		func() error { return j.Compact(notDeleted, nil) },
		func() error { return errors.Join(j.Compact(none, more), j.Compact(none, nil)) },
	} {
		if err := of(); err != nil {
			t.Fatal(err)
		}
		_ = j.Close()
		var rep Report
		var got string
		if j, rep, got = mustOpen(t, path, nil); rep.Last != uint64(8+i) || got != "" {
			t.Errorf("got %+v %q, want the last commit and no entry", rep, got)
		}
	}
}

func TestCompactFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, _, _ := mustOpen(t, path, nil)
	mustAppend(t, j, set(1, "a", "1"))
	broken := errors.New("broken")
	var more iter.Seq2[Entry, error] = func(yield func(Entry, error) bool) { yield(Entry{}, broken) }
	if err := j.Compact(everything, more); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	mustAppend(t, j, set(2, "b", "2"))
	var l told
	if err := j.Read(l.visit); err != nil {
		t.Fatal(err)
	}
	wantEntries(t, l.String(), "1 a=1; 2 b=2")
}

func TestAppendDuringCompact(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, _, _ := mustOpen(t, path, newAEAD(t, 1))
	want := map[string]string{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var commit uint64
	for g := range 4 {
		wg.Go(func() {
			for i := range 50 {
				mu.Lock() // commits must not decrease: the caller's obligation
				commit++
				k, v := fmt.Sprint("k", g, "-", i%10), fmt.Sprint(commit)
				err := j.Append(set(commit, k, v))
				want[k] = v
				mu.Unlock()
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 20 {
		if err := j.Compact(notDeleted, nil); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	_ = j.Close()
	got := map[string]string{}
	_, rep, err := Open(path, newAEAD(t, 1), func(e Entry) error {
		for _, r := range e.Records {
			got[string(r.Key)] = string(r.Value)
		}
		return nil
	})
	if err != nil || rep.Damaged() || rep.Torn > 0 {
		t.Errorf("got %+v, %v", rep, err)
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// TestCompactCatchesUp: entries appended during a compaction, few or many, are copied and count
// as appended since.
func TestCompactCatchesUp(t *testing.T) {
	for _, test := range []struct{ entries, bytes int }{{0, 0}, {3, 10}, {10, catchUpFrom / 4}} {
		path := filepath.Join(t.TempDir(), "j")
		j, _, _ := mustOpen(t, path, newAEAD(t, 1))
		mustAppend(t, j, set(1, "a", "1"))
		mustAppend(t, j, set(2, "a", "2"))
		want, asked := "2 a=2", false
		err := j.Compact(func(uint64, Record) bool {
			for i := range test.entries {
				value := strings.Repeat(fmt.Sprint(i), test.bytes)
				mustAppend(t, j, set(uint64(3+i), "a", value))
				want += fmt.Sprintf("; %d a=%s", 3+i, value)
			}
			asked = true
			return true
		}, nil)
		if err != nil || !asked {
			t.Fatal(err, asked)
		}
		if size, since := j.Grown(); since < int64(test.entries*test.bytes) || test.entries == 0 && since != 0 || since >= size {
			t.Errorf("%+v: %d of %d bytes count as appended since", test, since, size)
		}
		mustAppend(t, j, set(100, "b", "1"))
		want += "; 100 b=1"
		for range 2 {
			var l told
			if err := j.Read(l.visit); err != nil {
				t.Fatal(err)
			}
			wantEntries(t, l.String(), want)
			_ = j.Close()
			j, _, _ = mustOpen(t, path, newAEAD(t, 1))
		}
	}
}

// TestCompactCatchesUpRepeatedly: nothing is omitted or copied twice, in however many steps.
func TestCompactCatchesUpRepeatedly(t *testing.T) {
	eachForm(t, func(t *testing.T, aead cipher.AEAD) {
		path := filepath.Join(t.TempDir(), "j")
		j, _, _ := mustOpen(t, path, aead)
		mustAppend(t, j, set(1, "a", "1"))
		was, err := j.snapshot()
		if err != nil {
			t.Fatal(err)
		}
		defer was.f.Close()
		w, err := create(path+newSuffix, aead)
		if err := errors.Join(err, w.head(was.last), j.copyLive(w, was, everything, nil)); err != nil {
			t.Fatal(err)
		}
		base, want := w.end, "1 a=1"
		for i, size := range []int{catchUpFrom, catchUpFrom, 10} {
			value := strings.Repeat("v", size)
			mustAppend(t, j, set(uint64(2+i), "b", value))
			want += fmt.Sprintf("; %d b=%s", 2+i, value)
			if caughtUp, err := j.catchUp(w, &was); err != nil || caughtUp != (size >= catchUpFrom) {
				t.Fatalf("%d bytes: got %v, %v", size, caughtUp, err)
			}
		}
		if err := j.takeOver(w, was, base); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, j, set(9, "c", "1"))
		_ = j.Close()
		_, rep, got := mustOpen(t, path, aead)
		wantEntries(t, got, want+"; 9 c=1")
		if rep.Damaged() || rep.Torn > 0 {
			t.Errorf("got %+v", rep)
		}
	})
}

// TestCompactDamaged: a journal that was damaged in use is not replaced by
// its readable part unless the rest comes from elsewhere.
func TestCompactDamaged(t *testing.T) {
	eachForm(t, func(t *testing.T, aead cipher.AEAD) {
		for hit := range 3 { // the frame: the first after frame 0, the middle one, the last
			path, frames := filled(t, aead, 3)
			j, _, _ := mustOpen(t, path, aead)
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			damaged := bytes.Clone(whole)
			damaged[(frames[hit+1]+frames[hit+2])/2] ^= 1
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := j.Compact(everything, nil); !errors.Is(err, ErrDamaged) {
				t.Errorf("frame %d: got %v, want ErrDamaged", hit+1, err)
			}
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, damaged) {
				t.Errorf("frame %d: the journal has changed, %v", hit+1, err)
			}
			rest := func(yield func(Entry, error) bool) {
				for i := range 3 {
					if !yield(set(uint64(i+1), fmt.Sprint("k", i), fmt.Sprint("v", i)), nil) {
						return
					}
				}
			}
			if err := j.Compact(everything, rest); err != nil {
				t.Fatal(err)
			}
			_ = j.Close()
			index := NewIndex()
			j, rep, err := Open(path, aead, func(e Entry) error { index.Add(e); return nil })
			if err != nil {
				t.Fatal(err)
			}
			_ = j.Close()
			if rep.Damaged() || index.count != 3 {
				t.Errorf("frame %d: got %d of 3, %+v", hit+1, index.count, rep)
			}
		}
	})
}

// TestCatchUpDamaged tests the same for entries appended during a compaction.
func TestCatchUpDamaged(t *testing.T) {
	for _, size := range []int{10, 2 * catchUpFrom} {
		path := filepath.Join(t.TempDir(), "j")
		j, _, _ := mustOpen(t, path, newAEAD(t, 1))
		mustAppend(t, j, set(1, "a", "1"))
		rest := func(yield func(Entry, error) bool) {
			end, _ := j.Grown()
			mustAppend(t, j, set(2, "a", strings.Repeat("2", size)))
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt([]byte("damage"), end+headerSize)
				err = errors.Join(err, f.Close())
			}
			yield(set(1, "b", "1"), err)
		}
		if err := j.Compact(everything, rest); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d bytes: got %v, want ErrDamaged", size, err)
		}
		mustAppend(t, j, set(3, "c", "3"))
	}
}
