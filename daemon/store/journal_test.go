package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tokend/daemon/record"
	"tokend/daemon/store/journal"
)

func code(key, value string) record.Record {
	return record.Record{Table: record.Codes, Key: key, Value: []byte(value)}
}

func gone(r record.Record) record.Record {
	r.Value = nil
	return r
}

// wantState opens the store of c, checks its grants, codes and credentials, and closes it.
func wantState(t *testing.T, c Config, grants, codes, credentials map[string]string) *Store {
	t.Helper()
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	wantTable(t, s, record.Grants, grants)
	wantTable(t, s, record.Codes, codes)
	wantTable(t, s, record.Credentials, credentials)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

func eachKey(t *testing.T, f func(t *testing.T, key []byte)) {
	t.Run("clear", func(t *testing.T) { f(t, nil) })
	t.Run("sealed", func(t *testing.T) { f(t, key1) })
}

func TestGrantsSurviveDatabaseLoss(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, c Config)
		left   map[string]string // credentials
	}{
		{"removed", func(t *testing.T, c Config) {
			if err := os.RemoveAll(stateDir(c.Dir).current()); err != nil {
				t.Fatal(err)
			}
		}, map[string]string{}},
		{"a flipped table", func(t *testing.T, c Config) { flip(t, globbed(t, c.Dir, "*.sst")[0], 0.5) }, map[string]string{}},
		{"an older state of it", func(t *testing.T, c Config) {
			old := stateDir(c.Dir).current() + ".before"
			if err := errors.Join(os.RemoveAll(stateDir(c.Dir).current()), os.Rename(old, stateDir(c.Dir).current())); err != nil {
				t.Fatal(err)
			}
			// Its mark still has the later number.
			if err := os.Rename(filepath.Join(c.Dir, "mark"), filepath.Join(stateDir(c.Dir).current(), markFile)); err != nil {
				t.Fatal(err)
			}
		}, map[string]string{"token": "superseded"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			eachKey(t, func(t *testing.T, key []byte) {
				c := Config{Dir: newStateDir(t), Key: key}
				filled(t, c, grant("kept", "1"), grant("rotated", "1"), code("used", "c"), rec("token", "superseded"))
				old := stateDir(c.Dir).current() + ".before"
				if err := os.CopyFS(old, os.DirFS(stateDir(c.Dir).current())); err != nil {
					t.Fatal(err)
				}
				s, err := Open(c)
				if err != nil {
					t.Fatal(err)
				}
				mustPut(t, s, grant("rotated", "2"), rec("token", "with the grant"))
				mustPut(t, s, grant("new", "1"), gone(code("used", "")), code("open", "c"))
				mustPut(t, s, rec("token", "newest"))
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				mark, err := os.ReadFile(filepath.Join(stateDir(c.Dir).current(), markFile))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(c.Dir, "mark"), mark, 0o600); err != nil {
					t.Fatal(err)
				}
				test.damage(t, c)

				grants := map[string]string{"kept": "1", "rotated": "2", "new": "1"}
				codes := map[string]string{"open": "c"}
				log, said := logged()
				c.Logger = log
				wantState(t, c, grants, codes, test.left)
				if !strings.Contains(said.String(), "they have been restored") {
					t.Errorf("log: want the replay, got\n%s", said)
				}
				c.Logger = nil
				wantState(t, c, grants, codes, test.left)
			})
		})
	}
}

func TestJournalRecreated(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, path string)
		said   string
	}{
		{"gone", remove, "was missing"},
		{"emptied", func(t *testing.T, path string) { truncate(t, path, 0) }, "was missing"},
		{"cut short", func(t *testing.T, path string) { truncate(t, path, 100) }, "is unreadable"},
		{"zeroed", func(t *testing.T, path string) {
			if err := os.WriteFile(path, make([]byte, 500), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "damaged"},
		{"flipped in its first half", func(t *testing.T, path string) { flip(t, path, 0.4) }, "damaged"},
	} {
		t.Run(test.name, func(t *testing.T) {
			eachKey(t, func(t *testing.T, key []byte) {
				c := Config{Dir: newStateDir(t), Key: key}
				filled(t, c, grant("g1", "1"))
				filled(t, c, grant("g2", "2"), grant("g1", "3"))
				test.damage(t, stateDir(c.Dir).journal())
				log, said := logged()
				c.Logger = log
				grants := map[string]string{"g1": "3", "g2": "2"}
				wantState(t, c, grants, nil, nil)
				if !strings.Contains(said.String(), test.said) {
					t.Errorf("log: want %q, got\n%s", test.said, said)
				}
				// The journal alone must now suffice.
				if err := os.RemoveAll(stateDir(c.Dir).current()); err != nil {
					t.Fatal(err)
				}
				wantState(t, c, grants, nil, nil)
			})
		})
	}
}

func TestStoreWithoutJournal(t *testing.T) {
	c := Config{Dir: newStateDir(t), Key: key1}
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	// The old format, without a number.
	k := recordKey(record.Grants, "old")
	if err := s.current.db.commit(1, []entry{{k, s.sealer.seal(k, []byte("1"))}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	remove(t, stateDir(c.Dir).journal())
	log, said := logged()
	c.Logger = log
	grants := map[string]string{"old": "1"}
	wantState(t, c, grants, nil, nil)
	if strings.Contains(said.String(), "[ERROR]") {
		t.Errorf("log: want no alarm, got\n%s", said)
	}
	if err := os.RemoveAll(stateDir(c.Dir).current()); err != nil {
		t.Fatal(err)
	}
	wantState(t, c, grants, nil, nil)
}

func TestDatabaseRejects(t *testing.T) {
	log, said := logged()
	c := Config{Dir: newStateDir(t), Key: key1, Logger: log}
	s := newTestStore(t, c)
	mustPut(t, s, grant("g", "1"), rec("a", "1"), code("c", "1"))
	s.fillDisk(t, func() {
		if err := s.Put(t.Context(), rec("a", "2")); !errors.Is(err, ErrDiskFull) {
			t.Errorf("Put of a token: got %v, want ErrDiskFull", err)
		}
		value := []byte("2")
		mustPut(t, s, record.Record{Table: record.Grants, Key: "g", Value: value}, rec("a", "3"), rec("b", "3"), gone(code("c", "")))
		value[0] = 'X' // the caller may reuse it

		// Everything is readable, and nothing else.
		wantTable(t, s, record.Grants, map[string]string{"g": "2"})
		wantTable(t, s, record.Credentials, map[string]string{"a": "3", "b": "3"})
		wantTable(t, s, record.Codes, map[string]string{})
		for _, want := range []record.Record{grant("g", "2"), rec("b", "3"), gone(code("c", ""))} {
			if r, err := s.Get(want.Table, want.Key); err != nil || !bytes.Equal(r.Value, want.Value) || (r.Value == nil) != (want.Value == nil) {
				t.Errorf("Get %s: got %q, %v; want %q", want.Key, r.Value, err, want.Value)
			}
		}

		// After a kill now, the next start has everything.
		killed := newStateDir(t)
		copyState(t, killed, c.Dir)
		wantState(t, Config{Dir: killed, Key: key1}, map[string]string{"g": "2"}, nil, map[string]string{"a": "3", "b": "3"})
	})
	eventually(t, "the database takes it", func() bool { return strings.Contains(said.String(), "has taken the records that only the journal had") })
	s.mu.Lock()
	left := len(s.pending.values)
	s.mu.Unlock()
	if left != 0 {
		t.Errorf("pending: got %d, want 0", left)
	}
	mustPut(t, s, rec("a", "4"))
	wantTable(t, s, record.Credentials, map[string]string{"a": "4", "b": "3"})
	if n := strings.Count(said.String(), "are written to the journal only"); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
}

func TestJournalBounded(t *testing.T) {
	s := newTestStore(t, Config{Key: key1})
	value := strings.Repeat("v", 50_000)
	for i := range 200 {
		mustPut(t, s, grant(fmt.Sprint("g", i%4), fmt.Sprint(value, i)), rec("token", value))
	}
	eventually(t, "it is compacted", func() bool {
		size, _ := s.journal.Grown()
		return size < 3<<20
	})
	wantTable(t, s, record.Grants, map[string]string{
		"g0": value + "196", "g1": value + "197", "g2": value + "198", "g3": value + "199"})
}

// TestLargeJournalCompactedRarely: a journal is compacted when its size has doubled, not after each
// addition.
func TestLargeJournalCompactedRarely(t *testing.T) {
	s := newTestStore(t, Config{})
	add := func(bytes int) {
		for i := range bytes / MaxValue {
			mustPut(t, s, grant(fmt.Sprint(bytes, "-", i), strings.Repeat("v", MaxValue)))
		}
	}
	add(3 * journalSlack)
	if err := s.rewriteJournal(); err != nil {
		t.Fatal(err)
	}
	add(2 * journalSlack)
	s.resting.Store(false)
	if s.overgrown() {
		size, since := s.journal.Grown()
		t.Errorf("%d of %d bytes were added: want no compaction", since, size)
	}
}

func TestCompactionPause(t *testing.T) {
	s := newTestStore(t, Config{})
	value := strings.Repeat("v", 50_000)
	grow := func(bytes int) {
		for ; bytes > 0; bytes -= 4 * len(value) {
			mustPut(t, s, grant("g0", value), grant("g1", value), grant("g2", value), grant("g3", value))
		}
	}
	s.resting.Store(true)
	grow(restSlack / 2)
	if size, _ := s.journal.Grown(); size < restSlack/2 {
		t.Errorf("%d bytes have been appended, and %d are there: compacted too early", restSlack/2, size)
	}
	grow(restSlack / 2)
	eventually(t, "it is compacted", func() bool {
		size, _ := s.journal.Grown()
		return size < restSlack/2
	})
	wantTable(t, s, record.Grants, map[string]string{"g0": value, "g1": value, "g2": value, "g3": value})
}

func TestForeignJournalRejected(t *testing.T) {
	c := Config{Dir: newStateDir(t), Key: key1}
	filled(t, c, grant("g", "1"))
	other := Config{Dir: newStateDir(t), Key: key2}
	filled(t, other, grant("g", "planted"))
	b, err := os.ReadFile(stateDir(other.Dir).journal())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stateDir(c.Dir).journal(), b, 0o600); err != nil {
		t.Fatal(err)
	}
	before := files(t, c.Dir)
	if _, err := Open(c); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), "grants.journal") {
		t.Errorf("got %v, want ErrKey that names the file", err)
	}
	wantUntouched(t, c.Dir, before)
}

func TestWrongKeyWithoutDatabase(t *testing.T) {
	c := Config{Dir: newStateDir(t), Key: key1}
	filled(t, c, grant("g", "1"))
	if err := os.RemoveAll(stateDir(c.Dir).current()); err != nil {
		t.Fatal(err)
	}
	before := files(t, c.Dir)
	for _, key := range [][]byte{key2, nil} {
		if _, err := Open(Config{Dir: c.Dir, Key: key}); !errors.Is(err, ErrKey) {
			t.Errorf("got %v, want ErrKey", err)
		}
		wantUntouched(t, c.Dir, before)
	}
	wantState(t, c, map[string]string{"g": "1"}, nil, nil)
}

// TestJournalDamagedInUse: a compaction of a journal that has become unreadable takes the missing
// records from the database and from the pending records.
func TestJournalDamagedInUse(t *testing.T) {
	eachKey(t, func(t *testing.T, key []byte) {
		log, said := logged()
		c := Config{Dir: newStateDir(t), Key: key, Logger: log}
		s := newTestStore(t, c)
		grants := map[string]string{}
		put := func(name string) {
			grants[name] = "1"
			mustPut(t, s, grant(name, "1"))
		}
		for i := range 5 {
			put(fmt.Sprint("g", i))
		}
		eventually(t, "the database has followed", func() bool { return s.behind() == 0 })
		put("follows")
		end, _ := s.journal.Grown()
		xor(t, stateDir(c.Dir).journal(), end/2, 1)
		xor(t, stateDir(c.Dir).journal(), end-1, 1) // of the pending record
		if err := s.rewriteJournal(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(said.String(), "is no longer readable") {
			t.Errorf("log:\n%s", said)
		}
		put("later")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(stateDir(c.Dir).current()); err != nil {
			t.Fatal(err)
		}
		wantState(t, c, grants, map[string]string{}, map[string]string{})
	})
}

// TestDamageOfOldEntry opens a store whose journal is damaged where the database lacks nothing. The
// journal is still rewritten, because nothing is appended to a damaged one.
func TestDamageOfOldEntry(t *testing.T) {
	c := Config{Dir: newStateDir(t), Key: key1}
	filled(t, c, grant("g", "1"))
	before := len(files(t, c.Dir)[stateDir(c.Dir).journal()])
	filled(t, c, grant("g", "2"), grant("g", "3"))
	xor(t, stateDir(c.Dir).journal(), int64(before)-1, 1)
	s := newTestStore(t, c)
	if err := s.journal.Failed(); err != nil {
		t.Errorf("got %v, want it rewritten", err)
	}
	wantTable(t, s, record.Grants, map[string]string{"g": "3"})
}

// TestJournalKeepsLagging: records that the journal rejected get there in the end, however often
// the rewrite fails, and records deleted since are removed from it.
func TestJournalKeepsLagging(t *testing.T) {
	log, said := logged()
	c := Config{Dir: newStateDir(t), Logger: log}
	s := newTestStore(t, c)
	mustPut(t, s, grant("a", "1"), code("used", "1"))
	path := stateDir(c.Dir).journal()
	inTheWay := path + ".new"
	if err := os.MkdirAll(filepath.Join(inTheWay, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	remove(t, path)
	mustPut(t, s, grant("b", "1"), gone(code("used", "")))
	eventually(t, "it cannot be rewritten", func() bool { return strings.Contains(said.String(), "cannot be rewritten yet") })
	if err := os.RemoveAll(inTheWay); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is rewritten", func() bool { return !s.lagging.Load() && s.journal.Failed() == nil })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(stateDir(c.Dir).current()); err != nil {
		t.Fatal(err)
	}
	wantState(t, c, map[string]string{"a": "1", "b": "1"}, map[string]string{}, map[string]string{})
}

// TestPutDuringRewrite: records stored during a rewrite of the journal from the
// database are in the new journal.
func TestPutDuringRewrite(t *testing.T) {
	s := newTestStore(t, Config{})
	var had atomic.Int64 // acknowledged grants
	var wg sync.WaitGroup
	defer wg.Wait()
	for range 30 {
		wg.Go(func() {
			for range 5 {
				if err := s.Put(context.Background(), grant(fmt.Sprint("g", had.Load()), "1")); err != nil {
					t.Error(err)
				}
				had.Add(1)
			}
		})
		s.lagging.Store(true)
		if err := s.rewriteJournal(); err != nil {
			t.Fatal(err)
		}
		acknowledged := had.Load()
		there := map[string]bool{}
		if err := s.journal.Read(func(e journal.Entry) error {
			for _, r := range e.Records {
				there[string(r.Key)] = true
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for i := range acknowledged {
			if !there[string(recordKey(record.Grants, fmt.Sprint("g", i)))] {
				t.Fatalf("of %d grants that were acknowledged, the journal lacks the one at %d", acknowledged, i)
			}
		}
		wg.Wait()
	}
}
