package store

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"tokend/daemon/store/journal"
)

// commit makes g durable and tells those who wait: the journal first, with what cannot be had
// again, then the database. Where the journal takes all of it the database follows later; else it
// takes what is pending with g.
func (s *Store) commit(g *group) {
	trails := s.trails(g)
	s.sequence++
	journaled, refusal := s.append(g, s.sequence)
	if trails && journaled {
		s.shelve(g, s.sequence)
		g.done(nil, nil)
		s.follow()
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
		s.lag(refusal, err == nil) // not before: the journal is written anew from what the database has
	}
	if err == nil || !journaled {
		g.done(err, err)
		return
	}
	s.shelve(g, s.sequence)
	s.stall(err)
	g.done(nil, err)
}

// errCrowded is why the journal is not given what could not be read: the database, which has to
// take all that is pending, takes it first.
var errCrowded = errors.New("too much is pending")

// append writes what of g cannot be had again to the journal, in one step, and reports
// whether it is there, and the error if the journal refused it.
func (s *Store) append(g *group, number uint64) (journaled bool, refusal error) {
	e := journal.Entry{Commit: number, Records: s.kept[:0]}
	for _, p := range g.puts {
		e.Records = append(e.Records, p.kept...)
	}
	if s.kept = e.Records; len(e.Records) == 0 {
		return false, nil
	}
	defer clear(e.Records) // of what is not the committer's
	if s.crowded(0) {
		return false, errCrowded
	}
	err := s.journal.Append(e)
	if diskFull(err) && s.ballast.spend(openRoom) {
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

// admits returns why the disk is not to be written to by the commit of a number, or nil.
func (s *Store) admits(number uint64) error {
	err := s.checkRoom()
	if err != nil {
		if gone := inPlace(s.dir, s.lock); gone != nil {
			return s.settled(gone, number)
		}
	}
	return err
}

// settled takes note of what became of a commit and returns its error. After one that
// failed nothing goes to the database until it has been opened anew: Badger ends the process
// if it is written to after some of its errors, and after others would not find again what
// comes behind.
func (s *Store) settled(err error, number uint64) error {
	switch {
	case err == nil:
		s.applied.Store(number)
	case errors.Is(err, badger.ErrTxnTooBig):
		// The limits of newPut and gather are drawn so that this is not reached.
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

// shelve keeps for the readers, and for later, what the journal has taken of g and the database
// has not.
func (s *Store) shelve(g *group, number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range g.puts {
		s.pending.add(p.kept, number)
	}
}

// stall takes note that the database does not take what the journal has.
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
