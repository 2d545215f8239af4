package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tokend/daemon/record"
)

// crashed returns a state directory after a kill, with n records of 500 bytes. Their commits are in
// a write-ahead log, and after flushes in tables.
func crashed(t *testing.T, key []byte, n int) string {
	t.Helper()
	s := newTestStore(t, Config{Key: key})
	for i := range n {
		mustPut(t, s, rec(fmt.Sprintf("name%05d", i), strings.Repeat("v", 500)))
	}
	dir := newStateDir(t)
	copyState(t, dir, s.dir)
	return dir
}

// copyState copies a state directory without the ballast. The copy of a running store is what a
// kill would leave, because Badger writes through shared memory maps.
func copyState(t *testing.T, to, from string) {
	t.Helper()
	if err := os.Mkdir(to, 0o700); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		at := filepath.Join(from, e.Name())
		switch {
		case e.Name() == "ballast":
		case e.IsDir():
			err = os.CopyFS(filepath.Join(to, e.Name()), os.DirFS(at))
		default:
			var b []byte
			if b, err = os.ReadFile(at); err == nil {
				err = os.WriteFile(filepath.Join(to, e.Name()), b, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(to, 0o700); err != nil {
		t.Fatal(err)
	}
}

func globbed(t *testing.T, dir, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "store", pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %v, %v", pattern, paths, err)
	}
	return paths
}

// flip inverts the byte at a fraction of the file: 0 is the first byte, 1 is the end.
func flip(t *testing.T, path string, part float64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.TrimRight(b, "\x00") // logs are longer than their content
	n := int64(float64(len(b)) * part)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{b[n] ^ 0xff}, n); err != nil {
		t.Fatal(err)
	}
}

func TestFlippedLogDetected(t *testing.T) {
	dir := crashed(t, key1, 100)
	log, said := logged()

	// Without damage, the crash loses nothing.
	whole := newStateDir(t)
	copyState(t, whole, dir)
	s := newTestStore(t, Config{Dir: whole, Key: key1, Logger: log})
	if got := s.Missing(); got != 0 {
		t.Errorf("missing after a plain crash: got %d, want 0", got)
	}
	if got := len(contents(t, s, record.Credentials)); got != 100 {
		t.Errorf("records after a plain crash: got %d, want 100", got)
	}

	flip(t, globbed(t, dir, "*.mem")[0], 0.5)
	s, err := Open(Config{Dir: dir, Key: key1, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	left := len(contents(t, s, record.Credentials))
	if got, want := s.Missing(), uint64(100-left); got != want || want == 0 {
		t.Errorf("missing: got %d, want %d", got, want)
	}
	if want := fmt.Sprintf("missing=%d", 100-left); !strings.Contains(said.String(), "[ERROR]") || !strings.Contains(said.String(), want) {
		t.Errorf("log: want an error with %s, got\n%s", want, said)
	}
	mustPut(t, s, rec("later", "1"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = newTestStore(t, Config{Dir: dir, Key: key1})
	if got := s.Missing(); got != 0 {
		t.Errorf("missing after the next commit: got %d, want 0", got)
	}
}

func TestUnreadableMovedAside(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, dir string)
	}{
		{"a table flipped in its middle", func(t *testing.T, dir string) { flip(t, globbed(t, dir, "*.sst")[0], 0.5) }},
		{"a table flipped in its index", func(t *testing.T, dir string) { flip(t, globbed(t, dir, "*.sst")[0], 0.999) }},
		{"a table cut short", func(t *testing.T, dir string) { truncate(t, globbed(t, dir, "*.sst")[0], 3000) }},
		{"a table emptied", func(t *testing.T, dir string) { truncate(t, globbed(t, dir, "*.sst")[0], 0) }},
		{"a table gone", func(t *testing.T, dir string) { remove(t, globbed(t, dir, "*.sst")[0]) }},
		{"the manifest emptied", func(t *testing.T, dir string) { truncate(t, globbed(t, dir, "MANIFEST")[0], 0) }},
		{"the manifest of another program", func(t *testing.T, dir string) { flip(t, globbed(t, dir, "MANIFEST")[0], 0) }},
		{"the store is a file", func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, "store")); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "store"), []byte("?"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := Config{Dir: newStateDir(t)}
			filled(t, c, rec("a", strings.Repeat("v", 4000)), rec("b", strings.Repeat("w", 4000)))
			test.damage(t, c.Dir)
			log, said := logged()
			c.Logger = log
			s := newTestStore(t, c)
			wantTable(t, s, record.Credentials, map[string]string{})
			mustPut(t, s, rec("c", "1"))
			aside, err := filepath.Glob(filepath.Join(c.Dir, "store.broken-*"))
			if err != nil || len(aside) != 1 {
				t.Errorf("moved aside: got %v, %v", aside, err)
			}
			if !strings.Contains(said.String(), "[ERROR]") || !strings.Contains(said.String(), "moved_to=") {
				t.Errorf("log: want an error with the new path, got\n%s", said)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			c.Logger = nil
			reopened(t, c, map[string]string{"c": "1"})
		})
	}
}

func TestCrashRemainsNotDamage(t *testing.T) {
	for _, test := range []struct {
		name  string
		leave func(t *testing.T, dir string)
	}{
		{"an empty log", func(t *testing.T, dir string) { write(t, dir, "00099.mem") }},
		{"an empty value log", func(t *testing.T, dir string) { write(t, dir, "000099.vlog") }},
		{"an unfinished header", func(t *testing.T, dir string) { write(t, dir, "HEADER.tmp") }},
		{"no mark", func(t *testing.T, dir string) { remove(t, globbed(t, dir, markFile)[0]) }},
		{"a torn mark", func(t *testing.T, dir string) { truncate(t, globbed(t, dir, markFile)[0], 5) }},
		{"a lost header", func(t *testing.T, dir string) { remove(t, globbed(t, dir, headerFile)[0]) }},
		{"a flipped header", func(t *testing.T, dir string) { flip(t, globbed(t, dir, headerFile)[0], 0.5) }},
		{"an emptied header", func(t *testing.T, dir string) { truncate(t, globbed(t, dir, headerFile)[0], 0) }},
	} {
		for _, key := range [][]byte{nil, key1} {
			t.Run(fmt.Sprintf("%s, sealed %t", test.name, key != nil), func(t *testing.T) {
				c := Config{Dir: newStateDir(t), Key: key}
				filled(t, c, rec("a", "1"))
				test.leave(t, c.Dir)
				if got := reopened(t, c, map[string]string{"a": "1"}).Missing(); got != 0 {
					t.Errorf("missing: got %d, want 0", got)
				}
				reopened(t, c, map[string]string{"a": "1"})
			})
		}
	}
}

func TestWrongKeyWithoutHeader(t *testing.T) {
	c := Config{Dir: newStateDir(t), Key: key1}
	filled(t, c, rec("a", "1"))
	for _, key := range [][]byte{key2, nil} {
		remove(t, globbed(t, c.Dir, headerFile)[0])
		if s, err := Open(Config{Dir: c.Dir, Key: key}); err == nil {
			_ = s.Close()
			t.Error("opened with another key")
		}
		reopened(t, c, map[string]string{"a": "1"})
	}
}

func TestSealedRecordMoved(t *testing.T) {
	s := newTestStore(t, Config{Key: key1})
	mustPut(t, s, rec("mine", "1"), rec("other", "2"))
	stored, err := s.current.db.stored(recordKey(record.Credentials, "other"))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(stored)
	flipped[len(flipped)-1] ^= 1
	for name, planted := range map[string][]byte{
		"moved":   stored,
		"flipped": flipped,
		"clear":   sealer{}.seal(nil, []byte("planted")),
		"empty":   {},
		"cut":     stored[:5],
		"unknown": append([]byte{9}, stored[1:]...),
	} {
		if err := s.current.db.commit(99, []entry{{recordKey(record.Credentials, "mine"), planted}}); err != nil {
			t.Fatal(err)
		}
		var good, bad int
		for r, err := range s.All(record.Credentials) {
			switch {
			case err == nil && r.Key == "other":
				good++
			case err != nil && r.Key == "mine" && r.Value == nil:
				bad++
			}
		}
		if good != 1 || bad != 1 {
			t.Errorf("%s: got %d good and %d bad records, want one of each", name, good, bad)
		}
	}
	mustPut(t, s, rec("mine", "3"))
	wantTable(t, s, record.Credentials, map[string]string{"mine": "3", "other": "2"})
}

func truncate(t *testing.T, path string, n int64) {
	t.Helper()
	if err := os.Truncate(path, n); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "store", name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
