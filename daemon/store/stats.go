package store

import (
	"sync/atomic"
	"time"
)

// counts counts the committer's work since Open. The zero value is ready to use.
type counts struct {
	commits, puts, failed    atomic.Int64
	took                     atomic.Int64 // nanoseconds
	journaled, journalFailed atomic.Int64

	refused atomic.Bool // the last commit or Copy failed
}

// Stats is the work of a store since Open, and its current state.
type Stats struct {
	Commits int64         // commits to the database, each with one sync
	Puts    int64         // Puts in these
	Failed  int64         // failed commits
	Took    time.Duration // total time of commits and failures

	Journaled     int64 // groups with irreplaceable records that the journal took
	JournalFailed int64 // those that the journal rejected

	// Refusing reports that new records are not on disk, or not in both copies. The last commit or
	// Copy failed, or the journal must be rewritten, or the database must be reopened.
	Refusing bool

	Pending int    // records that only the journal has: for a moment, or while the database rejects writes
	Missing uint64 // see [Store.Missing]
}

// Stats returns the counters. It does not wait for the disk.
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

// committed counts a commit of puts with result err.
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
