package store

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"github.com/dgraph-io/badger/v4"

	"tokend/daemon/record"
)

// Get returns the record of a key. Its Value is nil if there is none, and belongs to the caller. A
// record that does not open is an error.
func (s *Store) Get(table record.Table, key string) (r record.Record, err error) {
	for r, err = range s.GetEach(table, []string{key}) {
		if r.Value != nil {
			r.Value = append([]byte{}, r.Value...) // existing values are never nil
		}
	}
	return r, err
}

// GetEach yields the result of Get for each of keys, in order, all from the same state of the
// database. A value is valid until the next step and must not be modified. Put may be called within
// the loop. Close must not, because it waits for the end of the loop.
func (s *Store) GetEach(table record.Table, keys []string) iter.Seq2[record.Record, error] {
	return func(yield func(record.Record, error) bool) {
		k := recordKey(table, "")
		prefix := len(k)
		from, over, err := s.look(k, keys)
		if from.h != nil {
			defer from.close()
		}
		value := []byte{}
		for i, key := range keys {
			r, err := record.Record{Table: table, Key: key}, err
			if ahead, ok := over[i]; ok {
				setValue(&r, ahead.value)
				err = nil
			} else if err == nil {
				k = append(k[:prefix], key...)
				value, err = from.h.db.value(from.txn, k, value)
				switch {
				case err == nil:
					setValue(&r, value)
				case errors.Is(err, badger.ErrKeyNotFound):
					err = nil
				default:
					err = fmt.Errorf("%s %s: %w", table, key, err)
				}
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// look returns the values in memory for keys under a prefix, by index, and a reader for the others,
// to be closed. The reader has no handle if all values are in memory or err is set.
func (s *Store) look(prefix []byte, keys []string) (from reader, over map[int]pendingValue, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := bytes.Clone(prefix)
	for i := 0; i < len(keys) && s.anyInMemoryLocked() && !s.closed; i++ {
		k = append(k[:len(prefix)], keys[i]...)
		if v, ok := s.inMemoryLocked(k); ok {
			if over == nil {
				over = make(map[int]pendingValue)
			}
			over[i] = v
		}
	}
	if len(over) < len(keys) {
		from, err = s.acquireLocked()
	}
	return from, over, err
}

// All yields every record of a table, as of the start of the iteration. A record that does not open
// is yielded with its table, its key and an error, and the iteration continues. A value is valid
// until the next step. Put may be called within the loop. Close must not, because it waits for the
// end of the loop.
func (s *Store) All(table record.Table) iter.Seq2[record.Record, error] {
	return func(yield func(record.Record, error) bool) {
		prefix := recordKey(table, "")
		v, err := s.view(prefix)
		if err != nil {
			yield(record.Record{Table: table}, err)
			return
		}
		defer v.close()
		for e, err := range v.entries(prefix) {
			r := record.Record{Table: table, Key: string(e.key[len(prefix):])}
			if err != nil {
				err = fmt.Errorf("%s %s: %w", table, r.Key, err)
			} else {
				setValue(&r, e.value)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}
