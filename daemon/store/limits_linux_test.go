package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tokend/daemon/record"
)

// opens opens the store in dir in a child after prefix. It returns the child's one line of error,
// or "".
func opens(t *testing.T, dir string, prefix ...string) string {
	t.Helper()
	out, err := child(t, "open", dir, prefix...).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, refusal, refused := strings.Cut(string(out), "refused: ")
	if refused == strings.Contains(string(out), "opened\n") || strings.Count(refusal, "\n") > 1 {
		t.Fatalf("got %q, want one line of error or none", out)
	}
	return strings.TrimSuffix(refusal, "\n")
}

// wantWhole checks that nothing was moved aside in dir and that the content is complete.
func wantWhole(t *testing.T, c Config, want map[string]string) {
	t.Helper()
	if aside, _ := filepath.Glob(filepath.Join(c.Dir, "*.broken-*")); len(aside) > 0 {
		t.Errorf("treated as damage: %v", aside)
	}
	s := newTestStore(t, c)
	wantTable(t, s, record.Credentials, want)
	wantTable(t, s, record.Grants, map[string]string{"g": "1"})
}

// TestLimitNamed opens stores in processes with too low limits on open files or file size.
// The error names the limit and a remedy, and blames neither the disk nor the store.
func TestLimitNamed(t *testing.T) {
	whole, want := Config{Dir: newStateDir(t), Key: key1}, map[string]string{"a": "1"}
	filled(t, whole, rec("a", want["a"]), grant("g", "1"))
	for _, test := range []struct{ limit, values, what, remedy string }{
		{"-n", "9 12 14 16 20 24 32", "may open no more files", "LimitNOFILE="},
		{"-f", "1 64 200 1024 3000", "may not write files of this size", "LimitFSIZE="},
	} {
		for value := range strings.FieldsSeq(test.values) {
			t.Run("ulimit "+test.limit+" "+value, func(t *testing.T) {
				t.Parallel()
				c := Config{Dir: newStateDir(t), Key: key1}
				copyState(t, c.Dir, whole.Dir)
				refusal := opens(t, c.Dir, "sh", "-c", fmt.Sprintf(`ulimit %s %s; exec "$0"`, test.limit, value))
				if refusal != "" && (!strings.Contains(refusal, test.what) || !strings.Contains(refusal, test.remedy) ||
					strings.Contains(refusal, "damaged") || strings.Contains(refusal, "disk")) {
					t.Errorf("got %q", refusal)
				}
				wantWhole(t, c, want)
			})
		}
	}
}

// A commit that a limit prevents is reported as such, whether the error is intact or only its text
// is left.
func TestCommitPreventedByLimit(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EFBIG} {
		whole := &os.PathError{Op: "open", Path: "/var/lib/tokend/store/00002.mem", Err: errno}
		for _, cause := range []error{whole, fmt.Errorf("while opening memtable err: %+v\n", whole)} {
			log, said := logged()
			s := &Store{log: log, alarm: make(chan struct{}, 1)}
			err := s.settled(failed(cause), 1)
			if !errors.Is(err, ErrFailed) || s.down == nil {
				t.Errorf("%v: got %v, and the database stays in use", cause, err)
			}
			if strings.Contains(err.Error(), "disk") || strings.Contains(said.String(), "disk") || !strings.Contains(said.String(), limitOf(errno).remedy) {
				t.Errorf("%v: got %q and %s", cause, err, said)
			}
		}
	}
	if err := failed(syscall.EIO); !strings.Contains(err.Error(), "the disk failed") {
		t.Errorf("an error of the disk: %v", err)
	}
}

// TestReadOnlyMount opens a store on a read-only file system.
func TestReadOnlyMount(t *testing.T) {
	needRoot(t)
	needTools(t, "unshare", "mount")
	c, want := Config{Dir: newStateDir(t), Key: key1}, map[string]string{"a": "1"}
	filled(t, c, rec("a", want["a"]), grant("g", "1"))
	for name, dir := range map[string]string{"a store": c.Dir, "no store yet": filepath.Join(c.Dir, "new")} {
		t.Run(name, func(t *testing.T) {
			refusal := opens(t, dir, "unshare", "--mount", "sh", "-c",
				fmt.Sprintf(`mount --bind %[1]s %[1]s && mount -o remount,bind,ro %[1]s && exec "$0"`, c.Dir))
			if !strings.Contains(refusal, "mounted read-only") || !strings.Contains(refusal, "mount it read-write") || !strings.Contains(refusal, dir) {
				t.Errorf("got %q", refusal)
			}
			wantWhole(t, c, want)
		})
	}
}

// A database that takes too long to close is left as after a kill. That is logged and is not an
// error.
func TestSlowClose(t *testing.T) {
	log, said := logged()
	c := Config{Dir: newStateDir(t), Key: key1, Logger: log}
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, rec("a", "1"), grant("g", "1"))
	s.closeLimit = time.Nanosecond
	if err := s.Close(); err != nil {
		t.Errorf("got %v, want no error", err)
	}
	if text := said.String(); !strings.Contains(text, "the next start reads its logs") || strings.Contains(text, "disk failed") {
		t.Errorf("log:\n%s", text)
	}
	if _, err := Open(c); !errors.Is(err, ErrLocked) {
		t.Errorf("opened again while the database is closing: got %v, want %v", err, ErrLocked)
	}
	<-s.late
	_ = s.lock.Close()
	s = newTestStore(t, c)
	wantTable(t, s, record.Credentials, map[string]string{"a": "1"})
	wantTable(t, s, record.Grants, map[string]string{"g": "1"})
}
