package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tokend/daemon/record"
)

// syncSteps are the steps of putSteps: how many syncs in sequence each takes.
var syncSteps = []struct {
	name  string
	put   func(*Store, context.Context, ...record.Record) error
	recs  []record.Record
	syncs int
}{
	{"a value", (*Store).Put, []record.Record{rec("a", "1")}, 1},
	{"a copy", (*Store).Copy, []record.Record{rec("c", "1"), {Table: record.Holds, Key: "c"}}, 0},
	{"a grant", (*Store).Put, []record.Record{grant("g", "1")}, 1},
	{"a value after a grant", (*Store).Put, []record.Record{rec("a", "2")}, 1},
	{"a grant and a token", (*Store).Put, []record.Record{grant("g", "2"), rec("a", "3")}, 1},
	{"another value after them", (*Store).Put, []record.Record{rec("b", "1"), {Table: record.Holds, Key: "b"}}, 1},
	{"a copy of a grant", (*Store).Copy, []record.Record{grant("g", "3")}, 1},
}

// putSteps performs syncSteps in a store in dir. It creates a directory before each step and after
// the last.
func putSteps(dir string) error {
	s, err := Open(Config{Dir: dir, Key: key1})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for i, step := range syncSteps {
		if err := errors.Join(os.Mkdir(filepath.Join(dir, fmt.Sprint("step", i)), 0o700), step.put(s, context.Background(), step.recs...)); err != nil {
			return err
		}
	}
	// Then ends as by a kill.
	return os.Mkdir(filepath.Join(dir, fmt.Sprint("step", len(syncSteps))), 0o700)
}

// TestSyncsPerPut counts the syncs that a Put waits for. On a disk that takes seconds per sync, a
// reader that waits for a fetch waits for all of them.
func TestSyncsPerPut(t *testing.T) {
	needTools(t, "strace")
	sync := regexp.MustCompile(`(sync|sync_file_range)\(`)
	dir := newStateDir(t)
	filled(t, Config{Dir: dir, Key: key1}, rec("a", "0"))
	var wrong []string
	for range 3 { // on a busy machine a drain may come between
		copied := newStateDir(t)
		copyState(t, copied, dir)
		wrong = nil
		for i, part := range traceSteps(t, copied) {
			if n := len(sync.FindAllString(part, -1)); n != syncSteps[i].syncs {
				wrong = append(wrong, fmt.Sprintf("%s: got %d syncs, want %d", syncSteps[i].name, n, syncSteps[i].syncs))
			}
		}
		if wrong == nil {
			return
		}
	}
	t.Error(strings.Join(wrong, "\n"))
}

// traceSteps returns the system calls of each step.
func traceSteps(t *testing.T, dir string) []string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "trace")
	cmd := child(t, "steps", dir, "strace", "-f", "-qq", "-o", out, "-e", "trace=mkdirat,mkdir,fsync,fdatasync,msync,sync_file_range")
	err := cmd.Run()
	trace, e := os.ReadFile(out)
	if e != nil || len(trace) == 0 || strings.Contains(string(trace), "ptrace") {
		lacking(t, "strace of a process of its own")
	}
	if err != nil {
		t.Fatal(err)
	}
	parts := regexp.MustCompile(`step\d"`).Split(string(trace), -1)
	if len(parts) != len(syncSteps)+2 {
		t.Fatalf("got %d parts of a trace:\n%s", len(parts), trace)
	}
	return parts[1 : len(parts)-1]
}

// TestReplaceDurable: each rename of a change of the key is durable before the next one.
// After a power cut between them, Open can finish.
func TestReplaceDurable(t *testing.T) {
	needTools(t, "strace")
	c, _, _ := rekeyed(t, key1)
	out := filepath.Join(t.TempDir(), "trace")
	cmd := child(t, "rekey", c.Dir, "strace", "-f", "-y", "-qq", "-o", out, "-e", "trace=rename,renameat,renameat2,fsync")
	err := cmd.Run()
	trace, e := os.ReadFile(out)
	if e != nil || len(trace) == 0 || strings.Contains(string(trace), "ptrace") {
		lacking(t, "strace of a process of its own")
	}
	if err != nil {
		t.Fatal(err)
	}
	at := stateDir(c.Dir)
	calls := string(trace)
	for _, step := range [][2]string{{at.current(), at.outgoing()}, {at.incoming(), at.current()}, {at.incomingJournal(), at.journal()}} {
		rename := regexp.MustCompile(`rename[^\n]*"` + regexp.QuoteMeta(step[0]) + `"[^\n]*"` + regexp.QuoteMeta(step[1]) + `"[^\n]*\n`)
		found := rename.FindStringIndex(calls)
		if found == nil {
			t.Fatalf("%s is not renamed to %s after the one before:\n%s", step[0], step[1], calls)
		}
		calls = calls[found[1]:]
		next, _, _ := strings.Cut(calls, "rename")
		if !strings.Contains(next, "fsync(") || !strings.Contains(next, "<"+c.Dir+">") {
			t.Errorf("the rename to %s is not durable before the next one:\n%s", step[1], next)
		}
	}
}
