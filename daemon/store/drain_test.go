package store

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/record"
	"tokend/daemon/store/journal"
)

// behind returns how many records of the journal the database lacks.
func (s *Store) behind() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending.values) + len(s.leaving.values)
}

// transactions returns the database's number of transactions.
func (s *Store) transactions() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.db.MaxVersion()
}

// TestDatabaseFollows: each grant costs one sync of the journal, and many grants one of the
// database. They can always be read.
func TestDatabaseFollows(t *testing.T) {
	eachKey(t, func(t *testing.T, key []byte) {
		log, said := logged()
		c := Config{Dir: newStateDir(t), Key: key, Logger: log}
		s, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		had, began := s.transactions(), time.Now()
		const writers, each = 8, 40
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				name := fmt.Sprintf("name%d", w)
				for i := range each {
					value := fmt.Sprintf("%03d%s", i, strings.Repeat("v", 600))
					if err := s.Put(t.Context(), grant(name, value)); err != nil {
						t.Error(err)
					}
					if r, err := s.Get(record.Grants, name); err != nil || string(r.Value) != value {
						t.Errorf("got %.8q, %v; want %.8q", r.Value, err, value)
					}
				}
			})
		}
		wg.Wait()
		// One per interval of the timer, and one per full transaction.
		most := uint64(time.Since(began)/leastDrainDelay) + uint64(writers*each*700/s.maxBytes) + 2
		if n := s.transactions() - had; n > most {
			t.Errorf("%d grants took %d transactions, want at most %d", writers*each, n, most)
		}
		for name, value := range contents(t, s, record.Grants) {
			if !strings.HasPrefix(value, fmt.Sprintf("%03d", each-1)) {
				t.Errorf("%s: got %.8q", name, value)
			}
		}
		eventually(t, "the database has followed", func() bool { return s.behind() == 0 })
		mustPut(t, s, grant("last", "1"))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s, err = Open(c)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if got := contents(t, s, record.Grants); len(got) != writers+1 || got["last"] != "1" {
			t.Errorf("got %d grants, the last is %q", len(got), got["last"])
		}
		if strings.Contains(said.String(), "from the grant journal") {
			t.Errorf("the database of a closed store was behind:\n%s", said)
		}
	})
}

// TestGrantNotOvertaken: a Put that the journal does not take reaches the database after all
// earlier ones.
func TestGrantNotOvertaken(t *testing.T) {
	s := newTestStore(t, Config{})
	for i := range 20 {
		v := fmt.Sprint(i)
		mustPut(t, s, grant("g", v), rec("t", v))
		mustPut(t, s, code("c", v))
		mustPut(t, s, gone(code("c", "")))
		mustPut(t, s, rec("t", v+" later"))
		if n := s.behind(); n != 0 {
			t.Fatalf("the database has a token but lacks %d earlier records", n)
		}
		wantTable(t, s, record.Grants, map[string]string{"g": v})
		wantTable(t, s, record.Codes, map[string]string{})
		wantTable(t, s, record.Credentials, map[string]string{"t": v + " later"})
	}
}

// atHand returns how many records are kept in memory although the database has them.
func (s *Store) atHand() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.followed.values)
}

// TestDrainedKeptInMemory: drained records stay in memory for a while. They are dropped
// when no more records come, and when the database is written to directly.
func TestDrainedKeptInMemory(t *testing.T) {
	s := newTestStore(t, Config{Key: key1})
	// They are kept for a tenth of a second. If the test is late, it stores them again.
	kept := func(recs ...record.Record) {
		t.Helper()
		eventually(t, "the database has followed", func() bool {
			if s.behind() == 0 && s.atHand() == 0 {
				mustPut(t, s, recs...)
			}
			return s.behind() == 0 && s.atHand() == len(recs)
		})
	}
	for i := range 5 {
		v := fmt.Sprint(i)
		mustPut(t, s, grant("g", v), rec("t", v))
		if i%2 == 0 {
			kept(grant("g", v), rec("t", v))
		}
		mustPut(t, s, rec("t", v+" later"))
		if n := s.atHand(); n != 0 {
			t.Fatalf("%d records are kept after a direct write to the database", n)
		}
		if r, err := s.Get(record.Credentials, "t"); err != nil || string(r.Value) != v+" later" {
			t.Fatalf("got %q, %v", r.Value, err)
		}
		wantTable(t, s, record.Grants, map[string]string{"g": v})
	}
	kept(grant("g", "last"))
	eventually(t, "nothing is kept", func() bool { return s.atHand() == 0 })
	if r, err := s.Get(record.Grants, "g"); err != nil || string(r.Value) != "last" {
		t.Errorf("got %q, %v", r.Value, err)
	}
}

// TestNewestInMemory: of the values in memory under a key, a reader gets the newest, even if it
// is a deletion.
func TestNewestInMemory(t *testing.T) {
	var s Store
	want := func(number uint64) {
		t.Helper()
		s.mu.Lock()
		defer s.mu.Unlock()
		if v, ok := s.inMemoryLocked([]byte("k")); v.number != number || ok != (number > 0) {
			t.Errorf("got %d, %v, want %d", v.number, ok, number)
		}
	}
	want(0)
	for i, p := range []*pending{&s.followed, &s.leaving, &s.pending} {
		r := journal.Record{Key: []byte("k")}
		if i != 1 {
			r.Value = []byte("v")
		}
		p.add([]journal.Record{r}, uint64(i+1))
		want(uint64(i + 1))
	}
	s.pending = pending{}
	want(2)
	s.leaving = pending{}
	want(1)
}

// TestTrailSpan: the longer drains take, the rarer they are, within bounds.
func TestTrailSpan(t *testing.T) {
	at := newDrainTimer()
	for _, test := range []struct{ took, want time.Duration }{
		{0, leastDrainDelay},
		{leastDrainDelay / 20, leastDrainDelay},
		{leastDrainDelay / 5, 2 * leastDrainDelay},
		{mostDrainDelay / 10, mostDrainDelay},
		{time.Minute, mostDrainDelay},
		{time.Millisecond, leastDrainDelay},
	} {
		if at.took(test.took); at.delay != test.want {
			t.Errorf("after %v: got %v, want %v", test.took, at.delay, test.want)
		}
	}
}

// TestDrainDuration: a committer that is busy when a drain ends does not measure a
// slow disk.
func TestDrainDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		lock, err := lockDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Close()
		s := &Store{dir: dir, lock: lock, log: hclog.NewNullLogger(), drainTimer: newDrainTimer()}
		s.reserve.Store(1 << 62) // the disk is full, and checks fail at once
		s.pending.add([]journal.Record{{Key: []byte("k"), Value: []byte("v")}}, 1)
		if err := s.beginDrain(nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if err := s.awaitDrain(); !errors.Is(err, ErrDiskFull) {
			t.Fatalf("got %v, want ErrDiskFull", err)
		}
		if s.drainTimer.delay != leastDrainDelay {
			t.Errorf("the next drain waits %v, want %v", s.drainTimer.delay, leastDrainDelay)
		}
		if took := s.Stats().Took; took >= time.Hour {
			t.Errorf("the recorded duration is %v", took)
		}
	})
}

// TestOneDrainAtATime: no second drain begins during a drain, however much is pending.
func TestOneDrainAtATime(t *testing.T) {
	s := &Store{dir: t.TempDir(), log: hclog.NewNullLogger(), drainTimer: newDrainTimer()}
	underWay := &drain{done: make(chan error, 1)}
	s.draining = underWay
	s.pending.add([]journal.Record{{Key: []byte("k"), Value: make([]byte, drainBytes+1)}}, 1)
	s.scheduleDrain()
	s.startDrain()
	if s.draining != underWay || len(s.pending.values) != 1 {
		t.Errorf("another drain was begun: %t, with the pending records: %t", s.draining != underWay, len(s.pending.values) == 0)
	}
}

// TestPendingSurviveReopen: grants that were acknowledged before the database failed, and
// had not reached it, reach it after it is reopened.
func TestPendingSurviveReopen(t *testing.T) {
	eachKey(t, func(t *testing.T, key []byte) {
		log, said := logged()
		c := Config{Dir: newStateDir(t), Key: key, Logger: log}
		s, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		grants, tokens := map[string]string{}, map[string]string{}
		for i := range 10 {
			name := fmt.Sprintf("before%d", i)
			mustPut(t, s, grant(name, "1"), rec(name, "1"))
			grants[name], tokens[name] = "1", "1"
		}
		s.failDatabase(t)
		mustPut(t, s, grant("after", "1"))
		grants["after"] = "1"
		eventually(t, "the database takes values", func() bool { return s.Put(t.Context(), rec("token", "1")) == nil })
		tokens["token"] = "1"
		eventually(t, "the database has followed", func() bool { return s.behind() == 0 })
		wantTable(t, s, record.Grants, grants)
		wantTable(t, s, record.Credentials, tokens)
		if s.Missing() != 0 {
			t.Errorf("%d commits are missing", s.Missing())
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		wantState(t, c, grants, map[string]string{}, tokens)
		if t.Failed() {
			t.Log(said)
		}
	})
}

// TestTransactionLimits: a Put with the maximum number of records, or of bytes, fits
// in one transaction.
func TestTransactionLimits(t *testing.T) {
	s := newTestStore(t, Config{Key: key1})
	for _, of := range []func(string, string) record.Record{rec, grant} {
		var many, large []record.Record
		for i := range s.maxCount {
			many = append(many, of(strconv.Itoa(i), ""))
		}
		mustPut(t, s, many...)
		for left := s.maxBytes; left > 2000; {
			r := of(fmt.Sprint("large", left), strings.Repeat("v", min(left-1000, 50_000)))
			left -= len(recordKey(r.Table, r.Key)) + len(r.Value) + entryOverhead
			large = append(large, r)
		}
		mustPut(t, s, large...)
		eventually(t, "the database has followed", func() bool { return s.behind() == 0 })
	}
}

// TestAddOlder: a failed drain returns the records that no later one has
// replaced, and the size is right.
func TestAddOlder(t *testing.T) {
	record := func(key, value string) []journal.Record {
		r := journal.Record{Key: []byte(key)}
		if value != "" {
			r.Value = []byte(value)
		}
		return []journal.Record{r}
	}
	var before, after, whole pending
	for _, p := range []*pending{&before, &whole} {
		p.add(record("a", "older"), 1)
		p.add(record("b", "kept"), 2)
		p.add(record("c", ""), 3)
	}
	for _, p := range []*pending{&after, &whole} {
		p.add(record("a", "new"), 4)
		p.add(record("d", ""), 5)
	}
	after.addOlder(before)
	if !reflect.DeepEqual(after, whole) {
		t.Errorf("got  %+v\nwant %+v", after, whole)
	}
	var none pending
	none.addOlder(before)
	if !reflect.DeepEqual(none, before) {
		t.Errorf("got  %+v\nwant %+v", none, before)
	}
}
