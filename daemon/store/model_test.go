package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tokend/daemon/record"
)

// modelKey is a key with one writer and many readers. Its values are numbered; each modelDeletes-th
// is a deletion.
type modelKey struct {
	table      record.Table
	key        string
	begun, had atomic.Int64 // last number attempted, last acknowledged
}

const modelDeletes = 7

// next returns the next record of k.
func (k *modelKey) next() record.Record {
	n := k.begun.Add(1)
	r := record.Record{Table: k.table, Key: k.key}
	if n%modelDeletes != 0 {
		r.Value = fmt.Append(nil, n, strings.Repeat(" ", 2000))
	}
	return r
}

// wrong describes what is wrong with a value that was read after had was acknowledged, or returns
// "".
func (k *modelKey) wrong(value []byte, had int64) string {
	begun := k.begun.Load()
	if value == nil {
		if begun/modelDeletes*modelDeletes >= had { // 0 is a deletion: nothing was stored yet
			return ""
		}
		return fmt.Sprintf("%s %s: no value although %d was acknowledged", k.table, k.key, had)
	}
	var n int64
	if _, err := fmt.Sscan(string(value), &n); err != nil || n < had || n > begun || n%modelDeletes == 0 {
		return fmt.Sprintf("%s %s: got %.8q; %d was acknowledged, %d was tried", k.table, k.key, value, had, begun)
	}
	return ""
}

// TestReadsMonotonic has many writers store and delete grants, codes and tokens, alone and
// together, while readers read them in every way. No reader sees a value older than the last one
// acknowledged before the read began. During the test the database fails and is reopened, drains
// happen at any moment, and the journal is compacted and rewritten. In the end everything is
// stored, and the irreplaceable records are in the journal alone too.
func TestReadsMonotonic(t *testing.T) {
	eachKey(t, func(t *testing.T, key []byte) {
		const writers, readers = 4, 3
		log, said := logged()
		c := Config{Dir: newStateDir(t), Key: key, Logger: log}
		s, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		closed := sync.OnceValue(s.Close)
		defer func() { _ = closed() }()
		var keys []*modelKey
		tables := [...]record.Table{record.Grants, record.Codes, record.Credentials}
		for w := range writers {
			for _, table := range tables {
				keys = append(keys, &modelKey{table: table, key: fmt.Sprint("of", w)})
			}
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Duration(rounds(2, 20))*time.Second)
		defer stop()
		var wg sync.WaitGroup
		each := func(seed int, do func(rnd *rand.Rand) error) {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(seed), 5))
				for ctx.Err() == nil {
					if err := do(rnd); err != nil && !errors.Is(err, ErrFailed) {
						t.Error(err)
						stop()
					}
				}
			})
		}
		for w := range writers {
			own := keys[w*len(tables):][:len(tables)]
			each(w, func(rnd *rand.Rand) error {
				// Rarely a token is among them, which waits for the database, or is alone.
				some, put := own[:1+rnd.IntN(2)], s.Put
				switch rnd.IntN(40) {
				case 0:
					some = own
				case 1:
					some = own[2:]
				case 2:
					some, put = own[2:], s.Copy
				}
				var recs []record.Record
				for _, k := range some {
					recs = append(recs, k.next())
				}
				err := put(context.Background(), recs...)
				if err == nil {
					for _, k := range some {
						k.had.Store(k.begun.Load())
					}
				}
				return err
			})
		}
		var reads atomic.Int64
		check := func(k *modelKey, value []byte, had int64) error {
			reads.Add(1)
			if wrong := k.wrong(value, had); wrong != "" {
				return errors.New(wrong)
			}
			return nil
		}
		for r := range readers {
			each(100+r, func(rnd *rand.Rand) error {
				table := tables[rnd.IntN(len(tables))]
				var asked []*modelKey
				var names []string
				had := map[string]int64{}
				for _, k := range keys {
					if k.table == table {
						asked, names, had[k.key] = append(asked, k), append(names, k.key), k.had.Load()
					}
				}
				switch rnd.IntN(3) {
				case 0:
					k := asked[rnd.IntN(len(asked))]
					got, err := s.Get(table, k.key)
					if err != nil {
						return err
					}
					return check(k, got.Value, had[k.key])
				case 1:
					i := 0
					for got, err := range s.GetEach(table, names) {
						if err == nil {
							err = check(asked[i], got.Value, had[names[i]])
						}
						if err != nil {
							return err
						}
						i++
					}
				case 2:
					found := map[string][]byte{}
					for got, err := range s.All(table) {
						if err != nil {
							return err
						}
						found[got.Key] = append([]byte{}, got.Value...)
					}
					for _, k := range asked {
						if err := check(k, found[k.key], had[k.key]); err != nil {
							return err
						}
					}
				}
				return nil
			})
		}
		pause := func(rnd *rand.Rand, most time.Duration) {
			select {
			case <-time.After(time.Duration(rnd.Int64N(int64(most)))):
			case <-ctx.Done():
			}
		}
		each(200, func(rnd *rand.Rand) error {
			pause(rnd, 20*time.Millisecond)
			s.drainTimer.timer.Reset(0) // a drain begins
			s.resting.Store(false)
			return nil
		})
		each(201, func(rnd *rand.Rand) error {
			pause(rnd, 300*time.Millisecond)
			s.journalRejected(errors.New("a disk error"), rnd.IntN(2) == 0) // the journal is rewritten
			return nil
		})
		each(202, func(rnd *rand.Rand) error {
			pause(rnd, 500*time.Millisecond)
			// A commit to a database without its mark fails, and the database is reopened.
			if err := os.Remove(filepath.Join(stateDir(c.Dir).current(), markFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			return nil
		})
		wg.Wait()
		eventually(t, "all is well", func() bool {
			// Ends Refusing, which lasts until the next commit.
			if s.Put(t.Context(), rec("last", "1")) != nil {
				return false
			}
			st := s.Stats()
			return !st.Refusing && st.Pending == 0
		})
		st := s.Stats()
		for what, n := range map[string]int64{
			"reads": reads.Load(), "commits": st.Commits, "failures": st.Failed, "entries": st.Journaled,
			"rewritten journals": int64(strings.Count(said.String(), "journal has been rewritten")),
			"reopened databases": int64(strings.Count(said.String(), "database has been reopened")),
		} {
			if n == 0 {
				t.Errorf("no %s", what)
			}
		}
		if err := closed(); err != nil {
			t.Fatal(err)
		}
		left := func(what string, tables ...record.Table) {
			t.Helper()
			s, err := Open(c)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for _, table := range tables {
				for _, k := range keys {
					if k.table != table {
						continue
					}
					got, err := s.Get(table, k.key)
					if err != nil {
						t.Fatal(err)
					}
					if wrong := k.wrong(got.Value, k.had.Load()); wrong != "" {
						t.Errorf("%s: %s", what, wrong)
					}
				}
			}
		}
		left("after a start", tables[:]...)
		if err := os.RemoveAll(stateDir(c.Dir).current()); err != nil {
			t.Fatal(err)
		}
		left("in the journal", record.Grants, record.Codes)
		if t.Failed() {
			t.Log(said)
		}
	})
}
