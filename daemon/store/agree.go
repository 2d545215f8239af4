package store

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/store/journal"
)

// At every start, the journal and the database are reconciled, which requires reading all of both.
// They nearly always agree. After a clean shutdown, the end of the journal and the database's
// sequence number prove that. The store can then be read while they are compared in the background,
// as long as the reader needs only what the database has. Writes wait for the comparison, and so
// does iteration over the tables that the journal also holds.

// reconciliation is the state of the reconciliation of journal and database.
type reconciliation struct {
	// reached is closed when the reconciliation has ended. err is its error and is read-only after
	// that.
	reached chan struct{}
	err     error
}

// Agree waits until the journal and the database are reconciled; see [Config].Ahead. An error other
// than ctx's is the reconciliation's. After such an error nothing can be stored.
func (s *Store) Agree(ctx context.Context) error {
	select {
	case <-s.reconciliation.reached:
		return s.reconciliation.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// agreed waits as Agree does, until the store is being closed.
func (s *Store) agreed() error {
	select {
	case <-s.reconciliation.reached:
		return s.reconciliation.err
	default:
	}
	select {
	case <-s.reconciliation.reached:
		return s.reconciliation.err
	case <-s.closing:
		return ErrClosed
	}
}

// awaits reports whether a reader of the keys with a prefix must wait for the reconciliation. The
// reconciliation may change records that the journal also holds.
func awaits(prefix []byte) bool { return len(prefix) == 0 || tableOf(prefix).Irreplaceable() }

// reconcile reconciles the journal and the database of o while the store is being read.
func (s *Store) reconcile(o *opening) {
	err := o.compare(s.log)
	if diskFull(err) && s.ballast.spend(0) { // rewriting a damaged journal needs disk space
		err = o.compare(s.log)
	}
	s.reach(o, err)
}

// compare reads the journal and reconciles it with the database. After an error the journal is
// closed.
func (o *opening) compare(log hclog.Logger) error {
	grants := o.survey()
	defer grants.end()
	err := o.openJournal(grants)
	if err != nil && o.journal != nil {
		if e := o.journal.Close(); e != nil {
			log.Warn("closing the journal after an error failed", "error", plain(e))
		}
		o.journal = nil
	}
	return err
}

// reach publishes the result of o.
func (s *Store) reach(o *opening, err error) {
	s.journal, s.sequence = o.journal, o.sequence
	s.applied.Store(o.sequence)
	if s.reconciliation.err = err; err != nil && !errors.Is(err, ErrClosed) {
		s.log.Error("the grant journal and the database cannot be reconciled", "error", plain(err))
	}
	close(s.reconciliation.reached)
}

// endedCleanly reports whether the last run ended with Close. It is called before anything is
// opened. A run that was killed leaves a log of Badger's. endedCleanly also returns the last commit
// in the journal's first and last frames.
func (o *opening) endedCleanly() (last uint64, clean bool) {
	logs, err := filepath.Glob(filepath.Join(o.at.current(), "*.mem"))
	if err != nil || len(logs) > 0 {
		return 0, false
	}
	last, whole, err := journal.Tail(o.at.journal(), o.sealer().journal)
	return last, whole && err == nil
}

// trusts reports whether the database is certain to be current after a clean shutdown. last is the
// last commit in the journal's first and last frames. The database is current if it misses no
// commit and the journal has nothing later, except what the journal received from the database.
func (o *opening) trusts(last uint64) bool {
	return o.chosen == 0 && !o.db.made && o.db.missing == 0 && last <= o.db.sequence
}

// comparisons is the number of records after which a comparison yields the processor and checks for
// Close.
const comparisons = 256

// yielder yields the processor at intervals, and ends the work when the store is being closed. Its
// zero value never ends the work.
type yielder struct {
	closing <-chan struct{}
	n       int
}

// yield returns ErrClosed if the store is being closed.
func (b *yielder) yield() error {
	if b.n++; b.n%comparisons != 0 {
		return nil
	}
	select {
	case <-b.closing:
		return ErrClosed
	default:
		runtime.Gosched()
		return nil
	}
}
