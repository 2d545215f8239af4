package store

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/store/journal"
)

// To bring journal and database to agree takes reading all of both, at every start, and nearly
// always they agree. After a clean end that can be told from their ends; the store is then read
// while they are still being compared, record by record, as far as its reader is content with what
// the database has. Whatever changes something, and whoever wants to see all there is of what the
// journal keeps too, waits.

// accord is the journal's and the database's.
type accord struct {
	// reached is closed when the two have been brought to agree, or that has failed: err says why,
	// and is read-only from then on.
	reached chan struct{}
	err     error
}

// Agree waits until the journal and the database have been brought to agree; see [Config].Ahead. An
// error other than ctx's says why they cannot be: nothing can be put then.
func (s *Store) Agree(ctx context.Context) error {
	select {
	case <-s.accord.reached:
		return s.accord.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// agreed waits as Agree does, for as long as the store is not being closed.
func (s *Store) agreed() error {
	select {
	case <-s.accord.reached:
		return s.accord.err
	default:
	}
	select {
	case <-s.accord.reached:
		return s.accord.err
	case <-s.closing:
		return ErrClosed
	}
}

// awaits reports whether who reads what is kept under keys with a prefix must wait for the two to
// agree: the records that the journal keeps too, and that it may have to mend, are among them.
func awaits(prefix []byte) bool { return len(prefix) == 0 || tableOf(prefix).Irreplaceable() }

// reconcile brings the journal and the database of o to agree, while the store is being read.
func (s *Store) reconcile(o *opening) {
	err := o.compare(s.log)
	if diskFull(err) && s.ballast.spend(0) { // to write a damaged journal anew takes room
		err = o.compare(s.log)
	}
	s.reach(o, err)
}

// compare reads the journal and compares it; nothing is left open after an error.
func (o *opening) compare(log hclog.Logger) error {
	grants := o.survey()
	defer grants.end()
	err := o.openJournal(grants)
	if err != nil && o.journal != nil {
		if e := o.journal.Close(); e != nil {
			log.Warn("what was opened did not close well", "error", plain(e))
		}
		o.journal = nil
	}
	return err
}

// reach takes over what o has come to.
func (s *Store) reach(o *opening, err error) {
	s.journal, s.sequence = o.journal, o.sequence
	s.applied.Store(o.sequence)
	if s.accord.err = err; err != nil && !errors.Is(err, ErrClosed) {
		s.log.Error("the grant journal and the database cannot be brought to agree", "error", plain(err))
	}
	close(s.accord.reached)
}

// endedCleanly reports whether what is in the database's directory was left there by Close, before
// anything is opened: whoever is killed leaves a log. It also returns the last commit that the
// journal's ends tell of.
func (o *opening) endedCleanly() (last uint64, clean bool) {
	logs, err := filepath.Glob(filepath.Join(o.at.current(), "*.mem"))
	if err != nil || len(logs) > 0 {
		return 0, false
	}
	last, whole, err := journal.Tail(o.at.journal(), o.sealer().journal)
	return last, whole && err == nil
}

// trusts reports whether what the database has is in force for certain, where it ended cleanly and
// the journal's ends tell of the commit last: nothing is missing, and the journal knows of nothing
// later, but for what it was given by the database.
func (o *opening) trusts(last uint64) bool {
	return o.chosen == 0 && !o.db.made && o.db.missing == 0 && last <= o.db.sequence
}

// comparisons is after how many records a comparison lets others have the processor, and looks
// whether it is to go on.
const comparisons = 256

// breather lets others have the processor from time to time, and ends what is done for a store that
// is being closed. Its zero value never ends anything.
type breather struct {
	closing <-chan struct{}
	n       int
}

// breathe returns ErrClosed where there is no more use in going on.
func (b *breather) breathe() error {
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
