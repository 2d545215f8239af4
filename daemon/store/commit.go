package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"tokend/daemon/store/journal"
)

// commit makes g durable and tells those who wait: the journal first, with what cannot be had
// again, then the database.
func (s *Store) commit(g *group) {
	err := s.drain()
	s.sequence++
	journaled, refusal := s.append(g, s.sequence)
	began := time.Now()
	if err == nil {
		err = s.write(g, s.sequence)
	}
	s.counts.committed(g, time.Since(began), err)
	if refusal != nil {
		s.lag(refusal) // not before: the journal is written anew from what the database has
	}
	if err != nil && journaled {
		s.shelve(g, s.sequence, err)
	}
	for _, p := range g.puts {
		if p.kept != nil && journaled {
			p.done <- nil
		} else {
			p.done <- err
		}
	}
}

// append writes what of g cannot be had again to the journal, in one step, and reports
// whether it is there, and the error if the journal refused it.
func (s *Store) append(g *group, number uint64) (journaled bool, refusal error) {
	var entries []journal.Entry
	for _, p := range g.puts {
		if p.kept != nil {
			entries = append(entries, journal.Entry{Commit: number, Records: p.kept})
		}
	}
	if len(entries) == 0 {
		return false, nil
	}
	s.mu.Lock()
	crowded := s.pending.bytes > maxPending
	s.mu.Unlock()
	if crowded {
		return false, nil // it would be durable, and could not be read
	}
	err := s.journal.Append(entries...)
	if diskFull(err) && s.ballast.spend(openRoom) {
		err = s.journal.Append(entries...)
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

// write writes g to the database unless the disk has no room or has failed.
func (s *Store) write(g *group, number uint64) error {
	s.mu.Lock()
	h, down := s.current, s.down
	s.mu.Unlock()
	if down != nil {
		return down
	}
	if err := s.checkRoom(); err != nil {
		if gone := inPlace(s.dir, s.lock); gone != nil {
			return s.settled(gone, number)
		}
		return err
	}
	for _, p := range g.puts {
		for i, r := range p.kept {
			if r.Value != nil && tableOf(r.Key).Irreplaceable() {
				g.entries[p.at+i].value = s.sealer.sealNumbered(r.Key, r.Value, number)
			}
		}
	}
	return s.settled(h.db.commit(number, g.entries), number)
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
		s.log.Error("the disk refused a commit: nothing is written to the database until it has been opened anew", "error", err)
		s.wake()
	}
	return err
}

// shelve keeps for the readers, and for later, what the journal has taken of g and the database
// has not.
func (s *Store) shelve(g *group, number uint64, cause error) {
	s.mu.Lock()
	first := len(s.pending.values) == 0
	for _, p := range g.puts {
		s.pending.add(p.kept, number)
	}
	s.mu.Unlock()
	if first {
		s.log.Error("grants are written to the journal only: the database follows when the disk permits", "error", cause)
	}
	s.wake()
}

// drain brings the database up to the journal.
func (s *Store) drain() error {
	s.mu.Lock()
	n, down := len(s.pending.values), s.down
	s.mu.Unlock()
	if n == 0 || down != nil {
		return down
	}
	if err := s.checkRoom(); err != nil {
		return err
	}
	s.sequence++
	if err := s.settled(s.drainPending(s.sequence), s.sequence); err != nil {
		return err
	}
	s.counts.refused.Store(false)
	s.log.Info("the database has taken what was in the journal only", "records", n)
	return nil
}

// drainPending writes what is pending to the database. Readers wait meanwhile: they
// must not see the one through the other.
func (s *Store) drainPending(number uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := bulk{db: s.current.db}
	for _, e := range s.pending.entries(s.sealer) {
		if err := b.add(e); err != nil {
			return err
		}
	}
	if err := b.finish(number); err != nil {
		return err
	}
	s.pending = pending{}
	return nil
}
