package journal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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

// eachForm runs f for a journal in clear and a sealed one.
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

func TestAppendRead(t *testing.T) {
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

func TestWrongKeyRejected(t *testing.T) {
	forms := map[string]cipher.AEAD{"clear": nil, "one": newAEAD(t, 1), "two": newAEAD(t, 2)}
	for made, aead := range forms {
		path := filepath.Join(t.TempDir(), "j")
		mustOpen(t, path, aead) // without an entry: only frame 0 detects a wrong key
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
			t.Errorf("made %s: the file was changed (%v)", made, err)
		}
	}
}

// filled returns a journal of n entries and the offsets of its frames, including the end.
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

func TestTornEnd(t *testing.T) {
	eachForm(t, func(t *testing.T, aead cipher.AEAD) {
		path, frames := filled(t, aead, 3)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for size := frames[3]; size < frames[4]; size++ {
			// Reserved space, or what a power cut leaves.
			for _, zeros := range []int{0, 5, 5000, 3 << 18} {
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
					t.Errorf("cut at %d: still torn after Open", size)
				}
				wantEntries(t, got, "1 k0=v0; 2 k1=v1; 3 k2=again")
			}
		}
	})
}

func TestFlippedByte(t *testing.T) {
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
				t.Errorf("byte %d: a damaged journal accepted an entry: %v", i, err)
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

func TestFrameMoved(t *testing.T) {
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
	h, _ := parseHeader(whole)
	planter := framer{file: h.file}
	planted, err := planter.append(nil, Entry{Number: 2, Commit: 2, Records: []Record{{[]byte("k1"), []byte("planted")}}})
	if err != nil {
		t.Fatal(err)
	}
	// Zeros at the end of a tag look like reserved space.
	torn := int64(len(bytes.TrimRight(frame(whole, 4), "\x00")))
	for _, test := range []struct {
		name  string
		bytes [][]byte
		want  string
		rep   Report
	}{
		{"swapped", [][]byte{frame(whole, 0), frame(whole, 2), frame(whole, 1), frame(whole, 3), frame(whole, 4)},
			"2 k1=v1; 3 k2=v2; 4 k3=v3", Report{Entries: 3, Last: 4, Lost: 1, Foreign: 1, Skipped: at[2] - at[1]}},
		{"removed", [][]byte{frame(whole, 0), frame(whole, 1), frame(whole, 3), frame(whole, 4)},
			"1 k0=v0; 3 k2=v2; 4 k3=v3", Report{Entries: 3, Last: 4, Lost: 1}},
		{"twice", [][]byte{whole, frame(whole, 4)},
			"1 k0=v0; 2 k1=v1; 3 k2=v2; 4 k3=v3", Report{Entries: 4, Last: 4, Foreign: 1, Torn: torn}},
		{"of another file", [][]byte{frame(whole, 0), frame(whole, 1), frame(foreign, 2), frame(whole, 3), frame(whole, 4)},
			"1 k0=v0; 3 k2=v2; 4 k3=v3", Report{Entries: 3, Last: 4, Lost: 1, Foreign: 1, Skipped: at[3] - at[2]}},
		{"in clear", [][]byte{frame(whole, 0), frame(whole, 1), planted, frame(whole, 3), frame(whole, 4)},
			"1 k0=v0; 3 k2=v2; 4 k3=v3", Report{Entries: 3, Last: 4, Lost: 1, Foreign: 1, Skipped: int64(len(planted))}},
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

func TestTooLarge(t *testing.T) {
	j, _, _ := mustOpen(t, filepath.Join(t.TempDir(), "j"), nil)
	if err := j.Append(Entry{Commit: 1, Records: []Record{{[]byte("a"), []byte("1")}, {[]byte("k"), make([]byte, MaxPayload)}}}); err == nil {
		t.Error("an entry larger than a frame was accepted")
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
