package store

import (
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/store/journal"
)

// handle is a database and the number of its readers. A read lock would deadlock: a reader that
// reads again would wait for a writer that waits for the reader.
type handle struct {
	db      *database
	readers sync.WaitGroup // Add is called with Store.mu held, while the handle is current
}

// reader reads a database as of its last commit. A reader without a handle reads nothing.
type reader struct {
	h *handle
	*reading
}

// acquireLocked returns a reader of the current database, to be closed, or the reason why there is
// none. It does not block. s.mu is held.
func (s *Store) acquireLocked() (reader, error) {
	switch {
	case s.closed:
		return reader{}, ErrClosed
	case s.current == nil:
		return reader{}, s.down
	}
	s.current.readers.Add(1)
	return reader{s.current, s.current.db.latest.enter()}, nil
}

func (r reader) close() {
	r.h.db.latest.leave(r.reading)
	r.h.readers.Done()
}

// retire removes the current database and returns it after its last reader has finished, or nil if
// there is none.
func (s *Store) retire() *database {
	s.mu.Lock()
	h := s.current
	s.current = nil
	s.mu.Unlock()
	if h == nil {
		return nil
	}
	h.readers.Wait()
	return h.db
}

// shut closes db in a goroutine and returns the channel of the result. Badger flushes when it
// closes, and retries forever if the disk rejects the flush. Callers must wait with a limit.
func shut(db *database) <-chan error {
	done := make(chan error, 1)
	go func() { done <- db.close() }()
	return done
}

// view is a part of a store at one moment: the database, overlaid by the records that only the
// journal has.
type view struct {
	reader
	over map[string]pendingValue
}

// view returns a view of the keys with a prefix. The caller must close it.
func (s *Store) view(prefix []byte) (view, error) {
	if awaits(prefix) {
		if err := s.agreed(); err != nil {
			return view{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from, err := s.acquireLocked()
	if err != nil {
		return view{}, err
	}
	// Both are read under the lock: pending records stay pending until the database has all of
	// them.
	over := s.leaving.under(string(prefix))
	if later := s.pending.under(string(prefix)); over == nil {
		over = later
	} else {
		maps.Copy(over, later)
	}
	return view{from, over}, nil
}

// entries yields the opened entries of the view under keys with a prefix, as database.entries does.
func (v view) entries(prefix []byte) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		for e, err := range v.h.db.entries(v.txn, prefix) {
			if _, ok := v.over[string(e.key)]; ok {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
		for _, k := range slices.Sorted(maps.Keys(v.over)) {
			if p := v.over[k]; p.value != nil && !yield(entry{[]byte(k), slices.Clone(p.value)}, nil) {
				return
			}
		}
	}
}

// lasting yields what a new journal needs from a view of everything: the irreplaceable records of
// the database and all pending records.
func (v view) lasting(log hclog.Logger) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for e, err := range v.h.db.lasting(v.txn, log) {
			if !yield(e, err) {
				return
			}
		}
		for k, p := range v.over {
			if !yield(journal.Entry{Commit: p.number, Records: []journal.Record{{Key: []byte(k), Value: p.value}}}, nil) {
				return
			}
		}
	}
}
