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

// opens opens the store in dir in a child behind prefix, and returns the one line of its refusal;
// "" if it was opened.
func opens(t *testing.T, dir string, prefix ...string) string {
	t.Helper()
	out, err := child(t, "open", dir, prefix...).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, refusal, refused := strings.Cut(string(out), "refused: ")
	if refused == strings.Contains(string(out), "opened\n") || strings.Count(refusal, "\n") > 1 {
		t.Fatalf("it said %q, want one refusal of one line or none", out)
	}
	return strings.TrimSuffix(refusal, "\n")
}

// wantWhole holds that nothing was moved aside in dir, and that everything is there.
func wantWhole(t *testing.T, c Config, want map[string]string) {
	t.Helper()
	if aside, _ := filepath.Glob(filepath.Join(c.Dir, "*.broken-*")); len(aside) > 0 {
		t.Errorf("taken for damage: %v", aside)
	}
	s := newTestStore(t, c)
	wantTable(t, s, record.Credentials, want)
	wantTable(t, s, record.Grants, map[string]string{"g": "1"})
}

// TestLimitIsNoDiskFault opens stores in processes that may not open as many files, or not write
// files as large, as it takes. What stops them is named, with a remedy, and it is neither the disk
// nor the store.
func TestLimitIsNoDiskFault(t *testing.T) {
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
					t.Errorf("it said %q", refusal)
				}
				wantWhole(t, c, want)
			})
		}
	}
}

// A commit that a limit prevents is reported as that, whether the error is whole or only its text
// is left of it.
func TestCommitPreventedByLimit(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EFBIG} {
		whole := &os.PathError{Op: "open", Path: "/var/lib/tokend/store/00002.mem", Err: errno}
		for _, cause := range []error{whole, fmt.Errorf("while opening memtable err: %+v\n", whole)} {
			log, said := logged()
			s := &Store{log: log, alarm: make(chan struct{}, 1)}
			err := s.settled(failed(cause), 1)
			if !errors.Is(err, ErrFailed) || s.down == nil {
				t.Errorf("%v: got %v, and the database goes on", cause, err)
			}
			if strings.Contains(err.Error(), "disk") || strings.Contains(said.String(), "disk") || !strings.Contains(said.String(), limitOf(errno).remedy) {
				t.Errorf("%v: it said %q and %s", cause, err, said)
			}
		}
	}
	if err := failed(syscall.EIO); !strings.Contains(err.Error(), "the disk failed") {
		t.Errorf("an error of the disk: %v", err)
	}
}

// TestReadOnlyMount opens a store on a file system that is mounted read-only.
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
				t.Errorf("it said %q", refusal)
			}
			wantWhole(t, c, want)
		})
	}
}

// A database that takes long to close is left as a kill leaves it. That is said, and it is no
// fault.
func TestSlowCloseIsNoDiskFault(t *testing.T) {
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
		t.Errorf("it said\n%s", text)
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
