package store

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tokend/daemon/record"
)

func TestJournalRejects(t *testing.T) {
	log, said := logged()
	c := Config{Dir: newStateDir(t), Logger: log}
	s := newTestStore(t, c)
	mustPut(t, s, grant("g", "1"), code("c", "1"))
	s.failJournal(t)
	mustPut(t, s, grant("g", "2"), gone(code("c", "")))
	wantTable(t, s, record.Grants, map[string]string{"g": "2"})
	eventually(t, "the journal is rewritten", func() bool { return strings.Contains(said.String(), "journal has been rewritten") })
	mustPut(t, s, grant("h", "1"))

	// The journal has everything, including the deletion.
	alone := newStateDir(t)
	copyState(t, alone, c.Dir)
	if err := os.RemoveAll(stateDir(alone).current()); err != nil {
		t.Fatal(err)
	}
	wantState(t, Config{Dir: alone}, map[string]string{"g": "2", "h": "1"}, map[string]string{}, nil)
}

// failJournal makes the journal reject entries: its descriptor is replaced by one of a device that
// is always full. failJournal returns when the journal has been rewritten.
func (s *Store) failJournal(t *testing.T) {
	t.Helper()
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	descriptors, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range descriptors {
		if to, _ := os.Readlink(path); to != stateDir(s.dir).journal() {
			continue
		}
		fd, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Dup3(int(full.Fd()), fd, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Skip("the journal's descriptor cannot be found here")
}

// The journal is rewritten from the database's current content, not from its content at the time of
// the rejection.
func TestRewrittenJournalComplete(t *testing.T) {
	for round := range 5 {
		log, said := logged()
		c := Config{Dir: newStateDir(t), Logger: log}
		s := newTestStore(t, c)
		var many []record.Record // so that the commit takes some time
		want := make(map[string]string)
		for i := range 200 {
			k := strconv.Itoa(i)
			want[k] = k + strings.Repeat("g", 1000)
			many = append(many, grant(k, want[k]))
		}
		mustPut(t, s, grant("0", "old"))
		s.failJournal(t)
		mustPut(t, s, many...)
		eventually(t, "the journal is rewritten", func() bool {
			return strings.Contains(said.String(), "journal has been rewritten") && !s.lagging.Load()
		})
		alone := newStateDir(t)
		copyState(t, alone, c.Dir)
		if err := os.RemoveAll(stateDir(alone).current()); err != nil {
			t.Fatal(err)
		}
		other := newTestStore(t, Config{Dir: alone})
		got := contents(t, other, record.Grants)
		for k, v := range want {
			if got[k] != v {
				t.Fatalf("round %d: the journal lacks grant %s; it has %d of %d", round, k, len(got), len(want))
			}
		}
	}
}
