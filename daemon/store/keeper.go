package store

import (
	"errors"
	"math/bits"
	"os"
	"time"

	"tokend/daemon/store/journal"
)

// The keeper repairs what the committer found wrong, so that no Put waits for a repair. It reopens
// the database, compacts or rewrites the journal, and restores the ballast. Otherwise it sleeps.

const (
	// The keeper waits firstRetry between the first two attempts, and doubles the wait up to
	// lastRetry.
	firstRetry = 250 * time.Millisecond
	lastRetry  = 5 * time.Second

	// A journal is compacted after it has grown by journalSlack, or by its size after the last
	// compaction if that is more. If the disk has no space to allocate in advance, tightSlack
	// replaces journalSlack.
	journalSlack = 1 << 20
	tightSlack   = 64 << 10

	// After a compaction, the keeper pauses compactionRest times the compaction's duration, so that
	// compactions take a tenth of the time. The pause ends early after restSlack bytes. There is no
	// pause if the disk has no space to allocate in advance.
	compactionRest = 10
	restSlack      = 32 << 20
)

// wake notifies the keeper that there is something to repair.
func (s *Store) wake() {
	select {
	case s.alarm <- struct{}{}:
	default:
	}
}

// journalRejected records that the journal rejected an entry. taken reports whether the database
// took the entry. If so, the journal is rewritten before Put returns, so that both have the records
// when Put succeeds. If the rewrite fails, the keeper retries.
func (s *Store) journalRejected(cause error, taken bool) {
	if !s.lagging.Swap(true) {
		s.log.Error("the grant journal refused an entry: until it has been rewritten, grants are only in the database", "error", cause)
		if taken && s.rewriteJournal() == nil {
			return
		}
	}
	s.wake()
}

// overgrown reports whether the journal needs a compaction.
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

// keep is the keeper. It runs until Close.
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
		for !s.repair(&k) {
			if !s.pause(&k, wait) {
				return
			}
			wait = min(2*wait, lastRetry)
		}
		wait, k.attempts = firstRetry, 0
	}
}

// pause waits before the next attempt and reports whether the wait ended. Close ends it early. The
// journal is still compacted during the wait: on a full disk only compaction frees space for new
// grants.
func (s *Store) pause(k *keeper, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	grown := s.grown
	for {
		select {
		case <-timer.C:
			return true
		case <-grown:
			if !s.maintainJournal(k) {
				grown = nil // retried with the other repairs
			}
		case <-k.rest.C:
			s.resting.Store(false)
		case <-s.closing:
			return false
		}
	}
}

// keeper is the keeper's state between attempts.
type keeper struct {
	shutting <-chan error // the failed database that is still closing; nil if none
	attempts int          // consecutive failed attempts
	rest     *time.Timer  // until the next compaction
}

// say logs the first failure of a series, and again whenever their number has doubled.
func (s *Store) say(k *keeper, what string, err error) {
	if bits.OnesCount(uint(k.attempts)) == 1 {
		s.log.Warn(what, "error", err, "attempts", k.attempts)
	}
}

// leave waits for a database that is still closing, with a limit.
func (k *keeper) leave() {
	if k.shutting == nil {
		return
	}
	select {
	case <-k.shutting:
	case <-time.After(closeLimit):
	}
}

// repair attempts all repairs and reports whether everything works.
func (s *Store) repair(k *keeper) bool {
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
			s.say(k, "the database cannot be reopened yet", err)
			well = false
		}
	}
	if waiting {
		select {
		case s.retry <- struct{}{}:
		default:
		}
		well = false // until the committer confirms
	}
	well = s.maintainJournal(k) && well
	if err := s.ballast.restore(s.reserve.Load()); err != nil {
		well = false
	}
	return well
}

// maintainJournal compacts or rewrites the journal if necessary, and reports whether the journal is
// in order.
func (s *Store) maintainJournal(k *keeper) bool {
	if !s.lagging.Load() && s.journal.Failed() == nil && !s.overgrown() {
		return true
	}
	began := time.Now()
	err := s.rewriteJournal()
	if diskFull(err) && s.ballast.spend(0) { // compaction returns more than that
		err = s.rewriteJournal()
	}
	if err != nil {
		s.say(k, "the grant journal cannot be rewritten yet", err)
		return false
	}
	s.resting.Store(true)
	k.rest.Reset(compactionRest * time.Since(began))
	return true
}

// errReading is returned if the journal cannot be rewritten because the database is closed.
var errReading = errors.New("the database is not open")

// rewriteJournal compacts the journal. A journal that lags, or is unreadable, also gets the records
// that only the database has, and the pending ones. A record in the journal that the database has
// taken and no longer has was deleted, and is dropped.
func (s *Store) rewriteJournal() error {
	if err := inPlace(s.dir, s.lock); err != nil {
		return err
	}
	applied := s.applied.Load()
	if !s.lagging.Load() {
		err := s.journal.Compact(keepLive(applied), nil)
		if !errors.Is(err, journal.ErrDamaged) {
			return err
		}
		s.log.Error("the grant journal is no longer readable: rewriting it from its readable entries and the database", "error", plain(err))
	}
	// From here on, an entry that the journal rejects makes it lag again. Earlier ones are in the
	// view.
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
	s.log.Info("the grant journal has been rewritten")
	return nil
}

// reopen reopens the database after a failed commit.
func (s *Store) reopen(k *keeper) error {
	if err := s.ballast.ensureSpace(openSpace); err != nil {
		return err
	}
	if err := probe(s.dir); err != nil {
		return err
	}
	if db := s.retire(); db != nil {
		// If the directory was deleted, Badger's close would retry its last write forever.
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
				s.log.Warn("closing the failed database returned an error", "error", err)
			}
		case <-time.After(lastRetry):
			return errors.New("the failed database is still closing")
		case <-s.closing:
			return ErrClosed
		}
	}
	db, err := s.reopenDatabase()
	if err != nil {
		return err
	}
	s.reserve.Store(reserveFor(s.minFree, db.dir))
	if s.checkReserve() != nil {
		db.awaitFlush()
	}
	s.mu.Lock()
	s.current, s.down = &handle{db: db}, nil
	s.missing += db.missing
	s.mu.Unlock()
	s.log.Info("the database has been reopened and accepts writes")
	return nil
}

// reopenDatabase opens the database as Open does, and adds the records that only the journal has.
func (s *Store) reopenDatabase() (*database, error) {
	at := stateDir(s.dir)
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
