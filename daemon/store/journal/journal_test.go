package journal

import (
	"bytes"
	"crypto/aes"
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

func newAEAD(t testing.TB, key byte) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher(bytes.Repeat([]byte{key}, 32))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	return aead
}

// eachForm runs f for a journal in clear and for a sealed one.
func eachForm(t *testing.T, f func(t *testing.T, aead cipher.AEAD)) {
	t.Run("clear", func(t *testing.T) { f(t, nil) })
	t.Run("sealed", func(t *testing.T) { f(t, newAEAD(t, 1)) })
}

func set(commit uint64, key, value string) Entry {
	return Entry{Commit: commit, Records: []Record{{[]byte(key), []byte(value)}}}
}

func del(commit uint64, key string) Entry {
	return Entry{Commit: commit, Records: []Record{{[]byte(key), nil}}}
}

func everything(uint64, Record) bool { return true }

func notDeleted(_ uint64, r Record) bool { return r.Value != nil }

// told collects entries as text: the commit, then key=value, or key- for a deletion.
type told []string

func (l *told) visit(e Entry) error {
	var line strings.Builder
	fmt.Fprint(&line, e.Commit)
	for _, r := range e.Records {
		if r.Value == nil {
			fmt.Fprintf(&line, " %s-", r.Key)
		} else {
			fmt.Fprintf(&line, " %s=%s", r.Key, r.Value)
		}
	}
	*l = append(*l, line.String())
	return nil
}

func (l *told) String() string { return strings.Join(*l, "; ") }

func mustOpen(t testing.TB, path string, aead cipher.AEAD) (*Journal, Report, string) {
	t.Helper()
	var l told
	j, rep, err := Open(path, aead, l.visit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, rep, l.String()
}

func mustAppend(t testing.TB, j *Journal, entries ...Entry) {
	t.Helper()
	for _, e := range entries {
		if err := j.Append(e); err != nil {
			t.Fatal(err)
		}
	}
}

func wantEntries(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("entries:\ngot  %s\nwant %s", got, want)
	}
}

func TestWhatWasAppendedIsRead(t *testing.T) {
	eachForm(t, func(t *testing.T, aead cipher.AEAD) {
		path := filepath.Join(t.TempDir(), "j")
		j, rep, got := mustOpen(t, path, aead)
		if !rep.Made || rep.Entries != 0 || got != "" {
			t.Errorf("new: got %+v %q", rep, got)
		}
		mustAppend(t, j, set(1, "a", "1"), set(1, "empty", ""))
		mustAppend(t, j, Entry{Commit: 2, Records: []Record{{[]byte("b"), []byte("2")}, {[]byte("a"), nil}}})
		const want = "1 a=1; 1 empty=; 2 b=2 a-"
		var l told
		if err := j.Read(l.visit); err != nil {
			t.Fatal(err)
		}
		wantEntries(t, l.String(), want)
		if err := errors.Join(j.Close(), j.Close()); err != nil {
			t.Fatal(err)
		}
		if err := j.Append(set(3, "c", "3")); !errors.Is(err, ErrClosed) {
			t.Errorf("Append after Close: got %v", err)
		}
		_, rep, got = mustOpen(t, path, aead)
		wantEntries(t, got, want)
		if want := (Report{Entries: 3, Last: 2}); rep != want {
			t.Errorf("got  %+v\nwant %+v", rep, want)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode: got %v, %v", info.Mode(), err)
		}
		if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, []byte("empty")) == (aead != nil) {
			t.Errorf("names in clear: want %t (%v)", aead == nil, err)
		}
	})
}

func TestAnotherKeyIsRefused(t *testing.T) {
	forms := map[string]cipher.AEAD{"clear": nil, "one": newAEAD(t, 1), "two": newAEAD(t, 2)}
	for made, aead := range forms {
		path := filepath.Join(t.TempDir(), "j")
		mustOpen(t, path, aead) // without an entry: frame 0 alone tells
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for asked, other := range forms {
			checked := Check(path, other)
			_, _, opened := Open(path, other, nil)
			if want := made != asked; errors.Is(checked, ErrKey) != want || errors.Is(opened, ErrKey) != want {
				t.Errorf("made %s, opened %s: got %v, %v", made, asked, checked, opened)
			}
		}
		after, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("made %s: it was touched (%v)", made, err)
		}
	}
}

// filled returns a journal of n entries and where each of its frames begins, the end
// included.
func filled(t testing.TB, aead cipher.AEAD, n int) (path string, frames []int64) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "j")
	j, _, _ := mustOpen(t, path, aead)
	size, _ := j.Grown()
	frames = append(frames, 0, size)
	for i := range n {
		mustAppend(t, j, set(uint64(i+1), fmt.Sprint("k", i), fmt.Sprint("v", i)))
		size, _ = j.Grown()
		frames = append(frames, size)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return path, frames
}

func TestATornEndIsCutOff(t *testing.T) {
	eachForm(t, func(t *testing.T, aead cipher.AEAD) {
		path, frames := filled(t, aead, 3)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for size := frames[3]; size < frames[4]; size++ {
			for _, zeros := range []int{0, 5, 5000, 3 << 18} { // the room that the journal had, or what a power cut leaves
				torn := append(bytes.Clone(whole[:size]), make([]byte, zeros)...)
				if err := os.WriteFile(path, torn, 0o600); err != nil {
					t.Fatal(err)
				}
				j, rep, got := mustOpen(t, path, aead)
				wantEntries(t, got, "1 k0=v0; 2 k1=v1")
				if want := max(int64(len(bytes.TrimRight(torn, "\x00")))-frames[3], 0); rep.Torn != want || rep.Damaged() {
					t.Errorf("cut at %d: got %+v, want %d bytes torn", size, rep, want)
				}
				mustAppend(t, j, set(3, "k2", "again"))
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
				if _, rep, got = mustOpen(t, path, aead); rep.Torn != 0 {
					t.Errorf("cut at %d: still torn after it was cut off", size)
				}
				wantEntries(t, got, "1 k0=v0; 2 k1=v1; 3 k2=again")
			}
		}
	})
}

func TestAFlippedByteCostsItsEntryOnly(t *testing.T) {
	eachForm(t, func(t *testing.T, aead cipher.AEAD) {
		path, frames := filled(t, aead, 3)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range whole {
			b := bytes.Clone(whole)
			b[i] ^= 1 << (i % 8)
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			j, rep, got := mustOpen(t, path, aead)
			var want []string
			hit := -1
			for f := range 4 {
				switch {
				case int64(i) >= frames[f] && int64(i) < frames[f+1]:
					hit = f
				case f > 0:
					want = append(want, fmt.Sprintf("%d k%d=v%d", f, f-1, f-1))
				}
			}
			wantEntries(t, got, strings.Join(want, "; "))
			if hit == 3 {
				if rep.Torn == 0 || rep.Damaged() {
					t.Errorf("byte %d, in the last frame: got %+v, want a torn end", i, rep)
				}
				continue
			}
			if rep.Lost != 1 || rep.Skipped != frames[hit+1]-frames[hit] || !rep.Damaged() {
				t.Errorf("byte %d, in frame %d: got %+v", i, hit, rep)
			}
			if err := j.Append(set(9, "x", "x")); !errors.Is(err, ErrFailed) {
				t.Errorf("byte %d: a damaged journal took an entry: %v", i, err)
			}
			if err := j.Compact(everything, nil); err != nil {
				t.Fatal(err)
			}
			mustAppend(t, j, set(9, "x", "x"))
			_ = j.Close()
			_, rep, got = mustOpen(t, path, aead)
			wantEntries(t, got, strings.Join(append(want, "9 x=x"), "; "))
			if rep.Damaged() || rep.Torn > 0 {
				t.Errorf("byte %d: still damaged after a compaction: %+v", i, rep)
			}
		}
	})
}

func TestFramesAreBoundToTheirPlace(t *testing.T) {
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
	frame := func(b []byte, i int) []byte { return b[at[i]:at[i+1]] }
	torn := int64(len(bytes.TrimRight(frame(whole, 4), "\x00"))) // zeros at the end of a tag are room
	for _, test := range []struct {
		name  string
		bytes [][]byte
		want  string
		rep   Report
	}{
		{"swapped", [][]byte{frame(whole, 0), frame(whole, 2), frame(whole, 1), frame(whole, 3), frame(whole, 4)},
			"2 k1=v1; 3 k2=v2; 4 k3=v3", Report{Entries: 3, Last: 4, Lost: 1, Foreign: 1, Skipped: at[2] - at[1]}},
		{"taken out", [][]byte{frame(whole, 0), frame(whole, 1), frame(whole, 3), frame(whole, 4)},
			"1 k0=v0; 3 k2=v2; 4 k3=v3", Report{Entries: 3, Last: 4, Lost: 1}},
		{"twice", [][]byte{whole, frame(whole, 4)},
			"1 k0=v0; 2 k1=v1; 3 k2=v2; 4 k3=v3", Report{Entries: 4, Last: 4, Foreign: 1, Torn: torn}},
		{"of another file", [][]byte{frame(whole, 0), frame(whole, 1), frame(foreign, 2), frame(whole, 3), frame(whole, 4)},
			"1 k0=v0; 3 k2=v2; 4 k3=v3", Report{Entries: 3, Last: 4, Lost: 1, Foreign: 1, Skipped: at[3] - at[2]}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := os.WriteFile(path, bytes.Join(test.bytes, nil), 0o600); err != nil {
				t.Fatal(err)
			}
			_, rep, got := mustOpen(t, path, aead)
			wantEntries(t, got, test.want)
			if rep != test.rep {
				t.Errorf("got  %+v\nwant %+v", rep, test.rep)
			}
		})
	}
}

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

func TestACompactionRemembersTheLastCommit(t *testing.T) {
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

func TestACompactionThatFailsChangesNothing(t *testing.T) {
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

func TestAppendsGoOnDuringACompaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, _, _ := mustOpen(t, path, newAEAD(t, 1))
	want := map[string]string{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var commit uint64
	for g := range 4 {
		wg.Go(func() {
			for i := range 50 {
				mu.Lock() // commits do not fall: the caller's promise
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

// TestACompactionCatchesUp holds that what is appended during a compaction is taken over, be it little or much, and counts as appended
// since.
func TestACompactionCatchesUp(t *testing.T) {
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

// TestACompactionCatchesUpAgainAndAgain holds that nothing is left out, or taken over twice, in however many steps it is.
func TestACompactionCatchesUpAgainAndAgain(t *testing.T) {
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

func TestTooLarge(t *testing.T) {
	j, _, _ := mustOpen(t, filepath.Join(t.TempDir(), "j"), nil)
	if err := j.Append(Entry{Commit: 1, Records: []Record{{[]byte("a"), []byte("1")}, {[]byte("k"), make([]byte, MaxPayload)}}}); err == nil {
		t.Error("an entry that no frame holds was taken")
	}
	var l told
	if err := j.Read(l.visit); err != nil || len(l) != 0 {
		t.Errorf("got %v, %v; want all or none", l, err)
	}
}

func BenchmarkAppend(b *testing.B) {
	j, _, _ := mustOpen(b, filepath.Join(b.TempDir(), "j"), newAEAD(b, 1))
	e := set(1, "grant\x00open_platform/wxcomponent/wxauthorizer/refresh_token", strings.Repeat("v", 300))
	b.ReportAllocs()
	for b.Loop() {
		mustAppend(b, j, e)
	}
}

func BenchmarkOpen100k(b *testing.B) {
	path := filepath.Join(b.TempDir(), "j")
	aead := newAEAD(b, 1)
	value := []byte(strings.Repeat("v", 300))
	err := Create(path, aead, 1, func(yield func(Entry, error) bool) {
		for i := range 100_000 {
			key := fmt.Appendf(nil, "grant\x00open_platform/wxcomponent/wx%06d/refresh_token", i)
			if !yield(Entry{Commit: 1, Records: []Record{{key, value}}}, nil) {
				return
			}
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			j, rep, err := Open(path, aead, nil)
			if err != nil || rep.Entries != 100_000 {
				b.Fatal(rep, err)
			}
			_ = j.Close()
		}
	})
	b.Run("compact", func(b *testing.B) {
		j, _, _ := mustOpen(b, path, aead)
		for b.Loop() {
			if err := j.Compact(notDeleted, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestACompactionThatCannotReadLosesNothing holds that a journal that was damaged while it was in use is not replaced by what is left of it,
// but where the rest is had from elsewhere.
func TestACompactionThatCannotReadLosesNothing(t *testing.T) {
	eachForm(t, func(t *testing.T, aead cipher.AEAD) {
		for hit := range 3 { // the frame: the first but for the head, one in the middle, the last
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
				t.Errorf("frame %d: %d of 3 are there, %+v", hit+1, index.count, rep)
			}
		}
	})
}

// TestWhatACompactionCannotTakeOver holds the same for what is appended during it.
func TestWhatACompactionCannotTakeOver(t *testing.T) {
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
