package store

import (
	"sync/atomic"
	"time"
)

// counts is what the committer has done since the store was opened. The zero value is ready.
type counts struct {
	commits, puts, failed    atomic.Int64
	took                     atomic.Int64 // nanoseconds
	journaled, journalFailed atomic.Int64

	refused atomic.Bool // the last group was not taken
}

// Stats is what a store has done since it was opened, and how it is now.
type Stats struct {
	Commits int64         // groups of writes that the database has made durable, each by one sync
	Puts    int64         // what was put in these
	Failed  int64         // groups that it has not taken
	Took    time.Duration // what the commits and the failures have taken in all

	Journaled     int64 // groups with something irreplaceable, made durable in the journal as well
	JournalFailed int64 // those that the journal has not taken

	// Refusing reports that what is put is not, or not wholly, on disk: the last group was not
	// taken, or the journal wants to be written anew, or the database to be opened anew.
	Refusing bool

	Pending int    // records that the journal alone has: for a moment, or while the database refuses them
	Missing uint64 // see [Store.Missing]
}

// Stats returns what has been counted. It waits for nothing on disk.
func (s *Store) Stats() Stats {
	c := &s.counts
	st := Stats{
		Commits:       c.commits.Load(),
		Puts:          c.puts.Load(),
		Failed:        c.failed.Load(),
		Took:          time.Duration(c.took.Load()),
		Journaled:     c.journaled.Load(),
		JournalFailed: c.journalFailed.Load(),
		Refusing:      c.refused.Load() || s.lagging.Load(),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Refusing = st.Refusing || s.down != nil || s.stalled
	st.Pending = len(s.pending.values) + len(s.leaving.values)
	st.Missing = s.missing
	return st
}

// committed counts a group of puts that has come to err.
func (c *counts) committed(puts int, took time.Duration, err error) {
	c.took.Add(int64(took))
	c.refused.Store(err != nil)
	if err != nil {
		c.failed.Add(1)
		return
	}
	c.commits.Add(1)
	c.puts.Add(int64(puts))
}
