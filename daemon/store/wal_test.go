package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tokend/daemon/record"
)

// TestWALNewest: wal syncs the log of the last commit, also after Badger has begun new logs, and
// copies leave it at the newest log.
func TestWALNewest(t *testing.T) {
	if badgerSyncs {
		t.Skip("Badger syncs by itself")
	}
	s := newTestStore(t, Config{})
	db := s.current.db
	first := db.wal.id
	for i := range 100 {
		put := s.Put
		if i%3 > 0 {
			put = s.Copy
		}
		if err := put(t.Context(), rec(fmt.Sprint("k", i), strings.Repeat("v", MaxValue))); err != nil {
			t.Fatal(err)
		}
		if w := &db.wal; w.f.Name() != w.path(w.id) || exists(w.path(w.id+1)) {
			t.Fatalf("after %d values %s is synced, and there is a later one: %t", i+1, w.f.Name(), exists(w.path(w.id+1)))
		}
	}
	if n := db.wal.id - first; n < 2 {
		t.Errorf("only %d logs were begun", n)
	}
}

// TestWALNumbers opens the log with the highest number, which is not the last one by name.
func TestWALNumbers(t *testing.T) {
	dir := t.TempDir()
	for _, id := range []int{7, 99_999, 100_000} {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d.mem", id)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w, err := openWAL(dir)
	if err != nil || w.id != 100_000 {
		t.Errorf("got %d, %v", w.id, err)
	}
	if err := w.close(); err != nil {
		t.Error(err)
	}
}

// putWithoutDescriptors stores values in a store in dir while the process has no free descriptor.
func putWithoutDescriptors(dir string) error {
	s, err := Open(Config{Dir: dir, Key: key1})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	var taken []*os.File
	for i := range 20 {
		for { // Badger releases some when it opens
			f, err := os.Open(os.DevNull)
			if err != nil {
				break
			}
			taken = append(taken, f)
		}
		n := fmt.Sprint(i)
		for _, r := range []record.Record{grant("g", n), rec("a", n)} {
			if err := s.Put(context.Background(), r); err != nil {
				return err
			}
		}
	}
	for _, f := range taken {
		_ = f.Close()
	}
	return s.Close()
}

// A commit to a log with space takes no descriptor.
func TestCommitWithoutDescriptors(t *testing.T) {
	c := Config{Dir: newStateDir(t), Key: key1}
	filled(t, c, rec("a", "before"))
	cmd := child(t, "exhausted", c.Dir, "sh", "-c", `ulimit -n 128; exec "$0"`)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	s := newTestStore(t, c)
	wantTable(t, s, record.Credentials, map[string]string{"a": "19"})
	wantTable(t, s, record.Grants, map[string]string{"g": "19"})
}

// putThroughLogs stores values in a store in dir until Badger has begun new logs, and ends as by a
// kill. copyThroughLogs copies them.
func putThroughLogs(dir string) error  { return throughLogs(dir, (*Store).Put) }
func copyThroughLogs(dir string) error { return throughLogs(dir, (*Store).Copy) }

func throughLogs(dir string, put func(*Store, context.Context, ...record.Record) error) error {
	s, err := Open(Config{Dir: dir, Key: key1})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for i := range 60 {
		if err := put(s, context.Background(), rec(fmt.Sprint("k", i), strings.Repeat("v", MaxValue))); err != nil {
			return err
		}
	}
	return nil
}

// A log's name is durable before a commit in it is acknowledged.
func TestLogNameDurable(t *testing.T) {
	needTools(t, "strace")
	if badgerSyncs {
		t.Skip("Badger syncs by itself")
	}
	dir, trace := traceLogs(t, "logs")
	logs := strings.Split(trace, `.mem", O_RDWR|O_CREAT`)[1:]
	if len(logs) < 2 {
		t.Fatalf("only %d logs were begun", len(logs))
	}
	named := regexp.MustCompile(`fsync\(\d+<` + regexp.QuoteMeta(stateDir(dir).current()) + `>`)
	synced := regexp.MustCompile(`fdatasync\(\d+<[^>]*\.mem>`)
	for i, after := range logs {
		if end := synced.FindStringIndex(after); end != nil && !named.MatchString(after[:end[0]]) {
			t.Errorf("log %d: a commit was synced before its log's name:\n%s", i, after[:end[0]])
		}
	}
}

// traceLogs returns the state directory and the system calls of a child that stores values through
// several logs.
func traceLogs(t *testing.T, do string) (dir, trace string) {
	t.Helper()
	dir, out := newStateDir(t), filepath.Join(t.TempDir(), "trace")
	cmd := child(t, do, dir, "strace", "-f", "-y", "-qq", "-o", out, "-e", "trace=openat,fsync,fdatasync")
	err := cmd.Run()
	b, e := os.ReadFile(out)
	if e != nil || len(b) == 0 || strings.Contains(string(b), "ptrace") {
		lacking(t, "strace of a process of its own")
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir, string(b)
}

// TestCopiesSyncedByLog: a log with copies is synced once, when Badger has begun the next one and
// before the name of the next one is durable. So the next Put makes all copies durable, and a power
// cut undoes the last ones only.
func TestCopiesSyncedByLog(t *testing.T) {
	needTools(t, "strace")
	if badgerSyncs {
		t.Skip("Badger syncs by itself")
	}
	dir, trace := traceLogs(t, "copies")
	begin := regexp.MustCompile(`(\d+)\.mem", O_RDWR\|O_CREAT`)
	begun := begin.FindAllStringSubmatch(trace, -1)
	parts := begin.Split(trace, -1)[1:]
	if len(begun) < 2 {
		t.Fatalf("only %d logs were begun", len(begun))
	}
	named := regexp.MustCompile(`fsync\(\d+<` + regexp.QuoteMeta(stateDir(dir).current()) + `>`)
	for i, log := range begun {
		want := 1
		if i == len(begun)-1 {
			want = 0
		} else if after := parts[i+1]; !strings.Contains(named.Split(after, 2)[0], log[1]+".mem>") {
			t.Errorf("log %s: the name of the next log was synced before it:\n%s", log[1], after)
		}
		if n := len(regexp.MustCompile(`fdatasync\(\d+<[^>]*/`+log[1]+`\.mem`).FindAllString(trace, -1)); n != want {
			t.Errorf("log %s: got %d syncs, want %d", log[1], n, want)
		}
	}
}
