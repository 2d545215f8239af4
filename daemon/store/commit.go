package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"tokend/daemon/store/journal"
)

// commit makes g durable and reports to its callers. Irreplaceable records go to the journal first,
// then everything goes to the database. If the journal holds the whole group, the database follows
// later. Otherwise the database commits g together with the pending records.
func (s *Store) commit(g *group) {
	if g.copies() && s.copied(g) {
		return
	}
	follows := s.mayFollow(g)
	s.sequence++
	journaled, refusal := s.append(g, s.sequence)
	if follows && journaled {
		s.addPending(g, s.sequence)
		g.done(nil, nil)
		s.scheduleDrain()
		return
	}
	err := s.awaitDrain()
	if err == nil {
		err = s.beginDrain(g)
	}
	if err == nil {
		err = s.awaitDrain()
	} else {
		s.counts.committed(len(g.puts), 0, err)
	}
	if refusal != nil && (err == nil || !errors.Is(refusal, errCrowded)) {
		// After the commit, because the journal is rewritten from the database.
		s.journalRejected(refusal, err == nil)
	}
	if err == nil || !journaled {
		g.done(err, err)
		return
	}
	s.addPending(g, s.sequence)
	s.stall(err)
	g.done(nil, err)
}

// copied writes g to the database without a sync. It reports false if pending records must be
// written first, or if the database is closed.
func (s *Store) copied(g *group) bool {
	_ = s.awaitDrain() // after a failure, records are pending
	s.mu.Lock()
	h, direct := s.current, s.down == nil && len(s.pending.values) == 0
	if direct {
		s.followed = pending{}
	}
	s.mu.Unlock()
	if !direct {
		return false
	}
	began := time.Now()
	err := s.admits(s.sequence)
	if err == nil {
		err = s.settled(h.db.copy(g.entries), s.sequence)
	}
	if err != nil {
		s.counts.committed(len(g.puts), time.Since(began), err)
	} else {
		s.counts.refused.Store(false)
	}
	g.done(err, err)
	return true
}

// errCrowded is returned if the journal must not take more, because too much is pending. The
// database then takes everything pending first.
var errCrowded = errors.New("too much is pending")

// append writes the Puts of g that have irreplaceable records to the journal, in one entry. It
// reports whether the entry is durable, and the error if the journal rejected it.
func (s *Store) append(g *group, number uint64) (journaled bool, refusal error) {
	e := journal.Entry{Commit: number, Records: s.kept[:0]}
	for _, p := range g.puts {
		e.Records = append(e.Records, p.kept...)
	}
	if s.kept = e.Records; len(e.Records) == 0 {
		return false, nil
	}
	defer clear(e.Records) // drop references to the callers' values
	if s.crowded(0) {
		return false, errCrowded
	}
	err := s.journal.Append(e)
	if diskFull(err) && s.ballast.spend(openSpace) {
		err = s.journal.Append(e)
	}
	if err != nil {
		s.counts.journalFailed.Add(1)
		return false, err
	}
	s.counts.journaled.Add(1)
	if s.overgrown() {
		select {
		case s.grown <- struct{}{}:
		default:
		}
	}
	return true, nil
}

// admits returns an error if the commit with that number must not be written to the disk.
func (s *Store) admits(number uint64) error {
	err := s.checkReserve()
	if err != nil {
		if gone := inPlace(s.dir, s.lock); gone != nil {
			return s.settled(gone, number)
		}
	}
	return err
}

// settled records the result of a commit and returns its error. After a failed commit, the database
// is not written to until it has been reopened. After some errors Badger ends the process if it is
// written to. After others it would not find later commits again.
func (s *Store) settled(err error, number uint64) error {
	switch {
	case err == nil:
		s.applied.Store(number)
	case errors.Is(err, badger.ErrTxnTooBig):
		// newPut and gather limit sizes so that this does not happen.
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	default:
		s.mu.Lock()
		s.down = err
		s.mu.Unlock()
		what := "the disk refused a commit"
		if limitOf(err) != nil {
			what = "a limit prevented a commit"
		}
		s.log.Error(what+": nothing is written to the database until it has been reopened", "error", err)
		s.wake()
	}
	return err
}

// addPending adds the records that the journal has, and the database does not, to the pending ones.
// Readers see them, and the database takes them later.
func (s *Store) addPending(g *group, number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range g.puts {
		s.pending.add(p.kept, number)
	}
}

// stall records that the database rejects pending records.
func (s *Store) stall(cause error) {
	s.mu.Lock()
	first := !s.stalled
	s.stalled = true
	s.mu.Unlock()
	if first {
		s.log.Error("grants are written to the journal only: the database follows when the disk permits", "error", cause)
	}
	s.wake()
}
