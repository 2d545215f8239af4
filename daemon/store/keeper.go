package store

import (
	"errors"
	"math/bits"
	"os"
	"time"

	"tokend/daemon/store/journal"
)

// The keeper puts right what the committer has found wrong, so that nobody who puts waits for it:
// it opens the database anew, compacts or rewrites the journal, makes the ballast again. While
// all is well it sleeps.

const (
	// firstRetry and lastRetry are how long the keeper waits between two attempts: at
	// first, and doubling up to it.
	firstRetry = 250 * time.Millisecond
	lastRetry  = 5 * time.Second

	// journalSlack is how much is appended to the journal before it is compacted, at the least;
	// beyond it, as much again as it had after the last compaction. On a disk that has no room to
	// reserve for it, tightSlack is the least.
	journalSlack = 1 << 20
	tightSlack   = 64 << 10

	// Between two compactions passes compactionRest times what the first has taken, so that they
	// have a tenth of the time, but as long only as no more than restSlack is appended. On a disk
	// that has no room to reserve they do not rest.
	compactionRest = 10
	restSlack      = 32 << 20
)

// wake tells the keeper that something wants to be seen to.
func (s *Store) wake() {
	select {
	case s.alarm <- struct{}{}:
	default:
	}
}

// lag takes note that the journal has refused what the database may have taken. If that has taken
// it, the journal is written anew at once, so that who has put it is told when both have it; where
// that fails, the keeper tries again.
func (s *Store) lag(cause error, taken bool) {
	if !s.lagging.Swap(true) {
		s.log.Error("the grant journal refused an entry: until it has been rewritten, grants are only in the database", "error", cause)
		if taken && s.mendJournal() == nil {
			return
		}
	}
	s.wake()
}

// overgrown reports whether the journal wants a compaction.
func (s *Store) overgrown() bool {
	size, since := s.journal.Grown()
	slack := int64(journalSlack)
	switch {
	case s.journal.Tight():
		slack = tightSlack
	case s.resting.Load():
		slack = restSlack
	}
	return since > max(slack, size-since)
}

// keep is the keeper: it runs until Close.
func (s *Store) keep() {
	if s.agreed() != nil {
		return
	}
	k := keeper{rest: stoppedTimer()}
	defer k.rest.Stop()
	defer k.leave()
	wait := firstRetry
	for {
		select {
		case <-s.alarm:
		case <-s.grown:
		case <-k.rest.C:
			s.resting.Store(false)
		case <-s.closing:
			return
		}
		for !s.putRight(&k) {
			if !s.pause(&k, wait) {
				return
			}
			wait = min(2*wait, lastRetry)
		}
		wait, k.attempts = firstRetry, 0
	}
}

// pause lets time pass before the next attempt, and reports whether it has; Close ends it. The
// journal is compacted meanwhile: on a full disk there is no other room for the grants to come.
func (s *Store) pause(k *keeper, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	grown := s.grown
	for {
		select {
		case <-timer.C:
			return true
		case <-grown:
			if !s.tendJournal(k) {
				grown = nil // with the others
			}
		case <-k.rest.C:
			s.resting.Store(false)
		case <-s.closing:
			return false
		}
	}
}

// keeper is what the keeper remembers between two attempts.
type keeper struct {
	shutting <-chan error // of the database that failed; nil for none
	attempts int          // that failed, in a row
	rest     *time.Timer  // until the journal is compacted again
}

// say logs a failure, the first of a row and then each time their number has doubled.
func (s *Store) say(k *keeper, what string, err error) {
	if bits.OnesCount(uint(k.attempts)) == 1 {
		s.log.Warn(what, "error", err, "attempts", k.attempts)
	}
}

// leave waits a little for a database that is still closing.
func (k *keeper) leave() {
	if k.shutting == nil {
		return
	}
	select {
	case <-k.shutting:
	case <-time.After(closeLimit):
	}
}

// putRight makes one attempt at all that is wrong, and reports whether all is well.
func (s *Store) putRight(k *keeper) bool {
	s.mu.Lock()
	down, waiting := s.down != nil, s.stalled
	s.mu.Unlock()
	well := true
	k.attempts++
	if err := inPlace(s.dir, s.lock); err != nil {
		s.say(k, "nothing can be written", err)
		return false
	}
	if down {
		if err := s.reopen(k); err != nil {
			s.say(k, "the database cannot be opened anew yet", err)
			well = false
		}
	}
	if waiting {
		select {
		case s.retry <- struct{}{}:
		default:
		}
		well = false // until it is seen to be gone
	}
	well = s.tendJournal(k) && well
	if err := s.ballast.restore(s.reserve.Load()); err != nil {
		well = false
	}
	return well
}

// tendJournal writes the journal anew if it wants that, and reports whether it is well.
func (s *Store) tendJournal(k *keeper) bool {
	if !s.lagging.Load() && s.journal.Failed() == nil && !s.overgrown() {
		return true
	}
	began := time.Now()
	err := s.mendJournal()
	if diskFull(err) && s.ballast.spend(0) { // it gives back more than that
		err = s.mendJournal()
	}
	if err != nil {
		s.say(k, "the grant journal cannot be written anew yet", err)
		return false
	}
	s.resting.Store(true)
	k.rest.Reset(compactionRest * time.Since(began))
	return true
}

// errReading is why a journal cannot be written anew while the database is closed.
var errReading = errors.New("the database is not open")

// mendJournal compacts the journal. One that lags, or cannot be read any more, takes over what only
// the database has, or what is on its way there; and what it has that the database, which was well
// all the time, has not, was deleted.
func (s *Store) mendJournal() error {
	if err := inPlace(s.dir, s.lock); err != nil {
		return err
	}
	applied := s.applied.Load()
	if !s.lagging.Load() {
		err := s.journal.Compact(keepLive(applied), nil)
		if !errors.Is(err, journal.ErrDamaged) {
			return err
		}
		s.log.Error("the grant journal cannot be read any more: it is written anew from what is left of it and from the database", "error", plain(err))
	}
	// From here on whatever the journal refuses makes it lag again; what it has refused before is
	// in view.
	s.lagging.Store(false)
	v, err := s.view(nil)
	if err != nil {
		s.lagging.Store(true)
		return errors.Join(errReading, err)
	}
	defer v.close()
	live := keepLive(applied)
	keep := func(commit uint64, r journal.Record) bool {
		if !live(commit, r) {
			return false
		}
		_, err := v.txn.Get(r.Key)
		return commit > applied || err == nil
	}
	if err := s.journal.Compact(keep, v.lasting(s.log)); err != nil {
		s.lagging.Store(true)
		return err
	}
	s.log.Info("the grant journal has been written anew")
	return nil
}

// reopen opens the database anew after a commit has failed.
func (s *Store) reopen(k *keeper) error {
	if err := s.ballast.makeRoom(openRoom); err != nil {
		return err
	}
	if err := probe(s.dir); err != nil {
		return err
	}
	if db := s.retire(); db != nil {
		// Where somebody has deleted it, Badger would try for ever to write its end.
		if err := os.MkdirAll(db.dir, 0o700); err != nil {
			return err
		}
		k.shutting = shut(db)
	}
	if k.shutting != nil {
		select {
		case err := <-k.shutting:
			k.shutting = nil
			if err != nil {
				s.log.Warn("the database that failed did not close well", "error", err)
			}
		case <-time.After(lastRetry):
			return errors.New("the database that failed is still closing")
		case <-s.closing:
			return ErrClosed
		}
	}
	db, err := s.openAnew()
	if err != nil {
		return err
	}
	s.reserve.Store(reserveFor(s.minFree, db.dir))
	if s.checkRoom() != nil {
		db.awaitFlush()
	}
	s.mu.Lock()
	s.current, s.down = &handle{db: db}, nil
	s.missing += db.missing
	s.mu.Unlock()
	s.log.Info("the database is open anew, and takes values again")
	return nil
}

// openAnew opens the database as Open does, and gives it what it lacks of the journal.
func (s *Store) openAnew() (*database, error) {
	at := place(s.dir)
	db, err := openDatabase(at.current(), s.sealer, s.log)
	if errors.Is(err, errDamaged) && !passing(err) && probe(s.dir) == nil {
		db, err = at.startOver(s.sealer, s.log, err)
	}
	if err != nil {
		return nil, err
	}
	r := reconciler{db: db, journal: s.journal, index: journal.NewIndex(), log: s.log}
	last := db.sequence
	err = s.journal.Read(func(e journal.Entry) error {
		r.index.Add(e)
		last = max(last, e.Commit)
		return nil
	})
	if err == nil {
		_, _, err = r.compare()
	}
	if err == nil {
		err = r.replay(last)
	}
	if err != nil {
		return nil, errors.Join(err, db.close())
	}
	return db, nil
}
