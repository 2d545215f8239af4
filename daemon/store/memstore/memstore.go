// Package memstore is a store in memory for tests of code that uses a store. It behaves like
// daemon/store, but forgets everything at the end of the process, and can fail and delay on
// request. It does not know disks or Badger. It can be used in a testing/synctest bubble.
package memstore

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"tokend/daemon/record"
)

// Store is a store in memory. The zero value is empty and ready to use. Its methods may be called
// concurrently.
type Store struct {
	mu      sync.Mutex
	records map[id]record.Record
	undo    map[id]record.Record // what CutPower restores; without a Value: absent
	puts    int
	failing int // number of further Puts to fail; negative: all
	err     error
	delay   time.Duration
}

type id struct {
	table record.Table
	key   string
}

// Put stores all of recs, or none of them. A nil Value deletes. During a delay it honors ctx; after
// that it is atomic.
func (s *Store) Put(ctx context.Context, recs ...record.Record) error {
	return s.store(ctx, recs, false)
}

// Copy is Put, but CutPower may undo it.
func (s *Store) Copy(ctx context.Context, recs ...record.Record) error {
	return s.store(ctx, recs, true)
}

func (s *Store) store(ctx context.Context, recs []record.Record, copies bool) error {
	s.mu.Lock()
	delay := s.delay
	s.mu.Unlock()
	if delay > 0 {
		t := time.NewTimer(delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts++
	if s.failing != 0 {
		s.failing = max(s.failing-1, -1)
		return s.err
	}
	if s.records == nil {
		s.records, s.undo = make(map[id]record.Record), make(map[id]record.Record)
	}
	journaled := slices.ContainsFunc(recs, func(r record.Record) bool { return r.Table.Irreplaceable() })
	if !copies && !journaled {
		clear(s.undo)
	}
	for _, r := range recs {
		k := id{r.Table, r.Key}
		if _, ok := s.undo[k]; copies && !journaled && !ok {
			s.undo[k] = s.records[k]
		} else if journaled {
			delete(s.undo, k)
		}
		if r.Value == nil {
			delete(s.records, k)
			continue
		}
		// Not slices.Clone: an empty value stays empty, not nil.
		r.Value = append([]byte{}, r.Value...)
		s.records[k] = r
	}
	return nil
}

// CutPower undoes the Copies since the last Put without irreplaceable records, except of records
// that were stored with an irreplaceable one since.
func (s *Store) CutPower() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, r := range s.undo {
		if r.Value == nil {
			delete(s.records, k)
		} else {
			s.records[k] = r
		}
	}
	clear(s.undo)
}

// Undoable returns how many records CutPower would change.
func (s *Store) Undoable() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.undo)
}

// Get returns the record of a key. Its Value is nil if there is none.
func (s *Store) Get(table record.Table, key string) (record.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[id{table, key}]
	r.Table, r.Key, r.Value = table, key, slices.Clone(r.Value)
	return r, nil
}

// GetEach yields the result of Get for each of keys, in order.
func (s *Store) GetEach(table record.Table, keys []string) iter.Seq2[record.Record, error] {
	return func(yield func(record.Record, error) bool) {
		for _, key := range keys {
			if !yield(s.Get(table, key)) {
				return
			}
		}
	}
}

// All yields every record of a table, as of the start of the iteration. A value is valid until the
// next step.
func (s *Store) All(table record.Table) iter.Seq2[record.Record, error] {
	return func(yield func(record.Record, error) bool) {
		s.mu.Lock()
		snapshot := maps.Clone(s.records)
		s.mu.Unlock()
		for k, r := range snapshot {
			if k.table != table {
				continue
			}
			r.Value = slices.Clone(r.Value)
			more := yield(r, nil)
			clear(r.Value) // exposes callers that keep the value
			if !more {
				return
			}
		}
	}
}

// Fail makes the next n Puts that pass their delay return err and store nothing. A negative n means
// all of them, until Fail(0, nil).
func (s *Store) Fail(n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing, s.err = max(n, -1), err
}

// Delay makes every Put take d longer. Concurrent Puts are delayed concurrently.
func (s *Store) Delay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// Puts returns the number of Puts, including failed ones.
func (s *Store) Puts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.puts
}
