package store

import (
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/store/journal"
)

// handle is a database and those who read from it. They are counted instead of being
// given a lock: who reads while he reads would wait for a writer that waits for him.
type handle struct {
	db      *database
	readers sync.WaitGroup // Add is called with Store.mu held, while the handle is current
}

// reader reads from a database as its last commit has left it; from none where it has no handle.
type reader struct {
	h *handle
	*reading
}

// acquireLocked returns a reader of the current database, to be closed, or why there is none. It
// waits for nobody. s.mu is held.
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

// retire takes the current database out of use and returns it once nobody reads from
// it any more; nil where there is none.
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

// shut closes db in a goroutine of its own and returns where its result will be. Badger
// flushes as it closes, and tries for ever what the disk refuses: nobody who must get
// on waits for it without a limit.
func shut(db *database) <-chan error {
	done := make(chan error, 1)
	go func() { done <- db.close() }()
	return done
}

// view is a part of a store at one moment: the database, and over it what the journal alone
// has.
type view struct {
	reader
	over map[string]pendingValue
}

// view returns a view of what is kept under keys with a prefix. It is to be closed.
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
	// Both under the lock: what is pending stays so until the database has all of it.
	over := s.leaving.under(string(prefix))
	if later := s.pending.under(string(prefix)); over == nil {
		over = later
	} else {
		maps.Copy(over, later)
	}
	return view{from, over}, nil
}

// entries yields what is in view under keys with a prefix, opened, as
// database.entries does.
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

// lasting yields what a journal is to have of a view of everything: the irreplaceable records of
// the database, and all that it has not yet.
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
