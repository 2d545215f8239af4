package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/record"
)

var (
	key1 = bytes.Repeat([]byte{1}, KeySize)
	key2 = bytes.Repeat([]byte{2}, KeySize)
)

func newStateDir(t testing.TB) string { return filepath.Join(t.TempDir(), "state") }

// reopened opens the store in dir, checks that it contains want, and closes it.
func reopened(t *testing.T, c Config, want map[string]string) *Store {
	t.Helper()
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	wantTable(t, s, record.Credentials, want)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

func filled(t *testing.T, c Config, recs ...record.Record) {
	t.Helper()
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, recs...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// logged returns a logger at trace level and its output.
func logged() (hclog.Logger, *logBuffer) {
	var b logBuffer
	return hclog.New(&hclog.LoggerOptions{Output: &b, Level: hclog.Trace}), &b
}

// logBuffer may be read while Badger's goroutines write to it.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestReopen(t *testing.T) {
	for _, key := range [][]byte{nil, key1} {
		c := Config{Dir: newStateDir(t), Key: key}
		want := map[string]string{}
		for i := range 5 {
			k := fmt.Sprint("name", i)
			filled(t, c, rec(k, k))
			want[k] = k
			reopened(t, c, want)
		}
	}
}

func TestModes(t *testing.T) {
	t.Run("created 0700 with files 0600", func(t *testing.T) {
		c := Config{Dir: newStateDir(t)}
		s := newTestStore(t, c)
		mustPut(t, s, rec("a", "1"))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		err := filepath.WalkDir(c.Dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: mode %v", path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("a wider directory is refused with the remedy", func(t *testing.T) {
		c := Config{Dir: newStateDir(t)}
		if err := os.Mkdir(c.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(c.Dir, 0o750); err != nil {
			t.Fatal(err)
		}
		_, err := Open(c)
		if !errors.Is(err, ErrMode) || !strings.Contains(err.Error(), "chmod 0700 "+c.Dir) {
			t.Errorf("got %v", err)
		}
		wantUntouched(t, c.Dir, map[string]string{})
	})
	t.Run("files of another user are refused with the remedy", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root gives files to others")
		}
		for _, path := range []string{"", "file"} {
			c := Config{Dir: newStateDir(t)}
			if err := errors.Join(os.Mkdir(c.Dir, 0o700), os.WriteFile(filepath.Join(c.Dir, "file"), nil, 0o600), os.Chown(filepath.Join(c.Dir, path), 54321, 54321)); err != nil {
				t.Fatal(err)
			}
			_, err := Open(c)
			want := "the state directory: " + filepath.Join(c.Dir, path) + " belongs to user 54321, not to root: chown -R root:root " + c.Dir
			if !errors.Is(err, ErrOwner) || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		}
	})
	t.Run("a file instead of a directory", func(t *testing.T) {
		c := Config{Dir: newStateDir(t)}
		if err := os.WriteFile(c.Dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(c); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("got %v", err)
		}
	})
}

func TestStoreLocked(t *testing.T) {
	c := Config{Dir: newStateDir(t)}
	s := newTestStore(t, c)
	mustPut(t, s, rec("a", "1"))
	_, err := Open(c)
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("got %v, want ErrLocked", err)
	}
	if got, want := err.Error(), "another tokend is using "+c.Dir; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	mustPut(t, s, rec("b", "2"))
}

func TestKeys(t *testing.T) {
	sealed := func(t *testing.T) Config {
		c := Config{Dir: newStateDir(t), Key: key1}
		filled(t, c, rec("a", "1"))
		return c
	}
	for _, test := range []struct {
		name string
		key  []byte
		want string
	}{
		{"wrong", key2, "not the key"},
		{"missing", nil, "no encryption_key is configured"},
		{"short", key1[:16], "has 16 bytes, want 32"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := sealed(t)
			before := files(t, c.Dir)
			_, err := Open(Config{Dir: c.Dir, Key: test.key})
			if !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, test.want)
			}
			wantUntouched(t, c.Dir, before)
			reopened(t, c, map[string]string{"a": "1"})
		})
	}
	t.Run("a store of another version is left alone", func(t *testing.T) {
		c := Config{Dir: newStateDir(t)}
		filled(t, c, rec("a", "1"))
		path := filepath.Join(c.Dir, "store", headerFile)
		if err := os.WriteFile(path, summed("tokend store 2\nclear\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := files(t, c.Dir)
		if _, err := Open(c); !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "another version") {
			t.Errorf("got %v", err)
		}
		wantUntouched(t, c.Dir, before)
	})
}

func TestClearSealed(t *testing.T) {
	const canary = "canary-value-7f3a"
	c := Config{Dir: newStateDir(t)}
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for i := range 300 {
		k := fmt.Sprintf("name%03d", i)
		want[k] = fmt.Sprint(canary, i)
		mustPut(t, s, rec(k, canary+" superseded"), record.Record{Table: record.Holds, Key: k, Value: []byte(canary)})
		mustPut(t, s, rec(k, want[k]))
	}
	// Closed and opened once, so that tables and a log contain the canary.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	filled(t, c, rec("name000", want["name000"]))
	if !anyFileHas(t, c.Dir, canary) {
		t.Fatal("the canary is not in the clear store")
	}

	c.Key, c.AcceptClear = key1, true
	reopened(t, c, want)
	c.AcceptClear = false
	if anyFileHas(t, c.Dir, canary) {
		t.Error("the canary is still in clear in the state directory")
	}
	s = newTestStore(t, c)
	if got := len(contents(t, s, record.Holds)); got != 300 {
		t.Errorf("holds: got %d, want 300", got)
	}
	for _, name := range []string{"store.new", "store.old"} {
		if exists(filepath.Join(c.Dir, name)) {
			t.Errorf("%s is left behind", name)
		}
	}
}

func TestReplacementInterrupted(t *testing.T) {
	setUp := func(t *testing.T) (Config, stateDir) {
		c := Config{Dir: newStateDir(t)}
		filled(t, c, rec("a", "current"))
		incoming := Config{Dir: newStateDir(t)}
		filled(t, incoming, rec("a", "incoming"))
		p := stateDir(c.Dir)
		if err := os.CopyFS(p.incoming(), os.DirFS(stateDir(incoming.Dir).current())); err != nil {
			t.Fatal(err)
		}
		return c, p
	}
	t.Run("before the first rename", func(t *testing.T) {
		c, _ := setUp(t)
		reopened(t, c, map[string]string{"a": "current"})
	})
	t.Run("before the first rename, without a current one", func(t *testing.T) {
		c, p := setUp(t)
		if err := os.RemoveAll(p.current()); err != nil {
			t.Fatal(err)
		}
		reopened(t, c, map[string]string{}) // the incoming one may be incomplete
	})
	t.Run("between the renames", func(t *testing.T) {
		c, p := setUp(t)
		if err := os.Rename(p.current(), p.outgoing()); err != nil {
			t.Fatal(err)
		}
		reopened(t, c, map[string]string{"a": "incoming"})
		if exists(p.outgoing()) {
			t.Error("the outgoing database is left behind")
		}
	})
	t.Run("after both", func(t *testing.T) {
		c, p := setUp(t)
		if err := errors.Join(os.Rename(p.current(), p.outgoing()), os.Rename(p.incoming(), p.current())); err != nil {
			t.Fatal(err)
		}
		reopened(t, c, map[string]string{"a": "incoming"})
	})
}

func TestPutOnFullDisk(t *testing.T) {
	log, said := logged()
	s := newTestStore(t, Config{Logger: log})
	mustPut(t, s, rec("a", "1"))
	s.fillDisk(t, func() {
		if err := s.Put(t.Context(), rec("a", "2")); !errors.Is(err, ErrDiskFull) {
			t.Errorf("Put: got %v, want ErrDiskFull", err)
		}
		wantTable(t, s, record.Credentials, map[string]string{"a": "1"})
	})
	s.mu.Lock()
	stalled := s.stalled
	s.mu.Unlock()
	if stalled || strings.Contains(said.String(), "are written to the journal only") {
		t.Errorf("a grant waited for the database; stalled: %t, log:\n%s", stalled, said)
	}
	mustPut(t, s, rec("a", "3"))
	wantTable(t, s, record.Credentials, map[string]string{"a": "3"})
}

// fillDisk makes the disk full for the committer while f runs. Only f may call Put during that
// time.
func (s *Store) fillDisk(t *testing.T, f func()) {
	t.Helper()
	reserve := s.reserve.Swap(1 << 62)
	defer s.reserve.Store(reserve)
	f()
}

func TestPutAfterClose(t *testing.T) {
	s, err := Open(Config{Dir: newStateDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		for i := 0; ; i++ {
			if err := s.Put(t.Context(), rec(fmt.Sprint(i), "x")); err != nil {
				done <- err
				return
			}
		}
	}()
	time.Sleep(5 * time.Millisecond)
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("Put: got %v, want ErrClosed", err)
	}
	for _, err := range s.All(record.Credentials) {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("All: got %v, want ErrClosed", err)
		}
	}
}

func TestLimits(t *testing.T) {
	s := newTestStore(t, Config{Key: key1})
	largest := rec("k", strings.Repeat("x", MaxValue))
	mustPut(t, s, largest)
	var bulk []record.Record
	for i := range 2000 {
		bulk = append(bulk, rec(fmt.Sprint("bulk", i), strings.Repeat("y", 60)))
	}
	mustPut(t, s, bulk...)
	if got := len(contents(t, s, record.Credentials)); got != 2001 {
		t.Errorf("got %d records, want 2001", got)
	}
	for name, recs := range map[string][]record.Record{
		"value": {rec("k", strings.Repeat("x", MaxValue+1))},
		"key":   {rec(strings.Repeat("k", MaxKey), "v")},
		"bytes": {largest, largest, largest, largest, largest, largest},
		"count": append(bulk, append(bulk, bulk...)...),
	} {
		if err := s.Put(t.Context(), recs...); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: got %v, want ErrTooLarge", name, err)
		}
	}
	// Rejected alone: in a group the others would be rejected too.
	var tiny []record.Record
	for i := range s.maxCount + 1 {
		tiny = append(tiny, record.Record{Table: "t", Key: string(rune(0x100 + i))})
	}
	if _, err := s.newPut(tiny); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%d records: got %v, want ErrTooLarge", len(tiny), err)
	}
	for _, r := range []record.Record{{Key: "k", Value: []byte{1}}, {Table: "t", Value: []byte{1}}, {Table: "a\x00b", Key: "k"}} {
		if err := s.Put(t.Context(), r); err == nil {
			t.Errorf("%+v: want an error", r)
		}
	}
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	got := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		got[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func wantUntouched(t *testing.T, dir string, before map[string]string) {
	t.Helper()
	if !maps.Equal(files(t, dir), before) {
		t.Errorf("%s was touched", dir)
	}
}

func anyFileHas(t *testing.T, dir, canary string) bool {
	t.Helper()
	for _, content := range files(t, dir) {
		if strings.Contains(content, canary) {
			return true
		}
	}
	return false
}
