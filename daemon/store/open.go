package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/store/journal"
)

// Open opens or creates the store in cfg.Dir. It returns the following errors without changing
// anything: ErrMode for a directory that other users can read, ErrOwner for one of another user,
// ErrLocked for a store in use by another process, ErrKey for a wrong key, ErrVersion for an
// unknown version, ErrDiskFull for a full disk, and ErrFailed for a disk that rejects writes. An
// unreadable database is moved aside, logged as an error and replaced by an empty one;
// irreplaceable records come from the journal. If a key is given, a store in clear is rejected
// (ErrClear), or sealed with cfg.AcceptClear. A store sealed with cfg.oldKey is resealed with
// cfg.Key.
func Open(cfg Config) (_ *Store, err error) {
	o := opening{at: stateDir(cfg.Dir), log: cfg.logger(), ballast: newBallast(cfg.Dir), reserve: cfg.free(), ahead: cfg.Ahead}
	if err := o.keys(cfg); err != nil {
		return nil, err
	}
	defer func() {
		if _, worded := errors.AsType[*fault](err); err != nil && !worded && (limitOf(err) != nil || is(err, syscall.EROFS)) {
			err = refusal(cfg.Dir, err) // in any step
		}
	}()
	if err := prepareDir(cfg.Dir); err != nil {
		return nil, err
	}
	if err := checkFiles(cfg.Dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err == nil {
			return
		}
		if e := errors.Join(o.close(), lock.Close()); e != nil {
			o.log.Warn("closing the store after an error failed", "error", plain(e))
		}
	}()
	if err := o.open(); err != nil {
		return nil, err
	}
	s := &Store{
		dir: cfg.Dir, minFree: cfg.free(), closeLimit: closeLimit, log: o.log, lock: lock, sealer: o.sealer(),
		ballast: o.ballast, reconciliation: reconciliation{reached: make(chan struct{})},
		current: &handle{db: o.db}, missing: o.db.missing,
		queue:      make(chan *put, queueLength),
		retry:      make(chan struct{}, 1),
		alarm:      make(chan struct{}, 1),
		grown:      make(chan struct{}, 1),
		closing:    make(chan struct{}),
		stopped:    make(chan struct{}),
		drainTimer: newDrainTimer(),
	}
	s.maxBytes, s.maxCount = o.db.transaction()
	s.reserve.Store(reserveFor(s.minFree, o.db.dir))
	if s.checkReserve() != nil {
		o.db.awaitFlush() // flush before the ballast or another program takes the space
	}
	if s.ballast.sparse() {
		s.ballast.release() // it reserves no space, for example after a copy of the state directory
	}
	if err := s.ballast.restore(s.reserve.Load()); err != nil {
		o.log.Warn("the ballast could not be created yet: without it, a full disk may stop tokend", "error", err)
		s.wake()
	}
	if o.trusted {
		o.closing = s.closing
		s.wg.Go(func() { s.reconcile(&o) })
	} else {
		s.reach(&o, nil)
	}
	s.wg.Go(s.commits)
	s.wg.Go(s.keep)
	return s, nil
}

// A database is opened again up to openRetries times, after openPause, if the disk returned an
// error that may be transient.
const (
	openRetries = 3
	openPause   = 500 * time.Millisecond
)

// opening is a store that is being opened. db and journal are what it has opened.
type opening struct {
	at      stateDir
	log     hclog.Logger
	ballast ballast
	reserve uint64

	// sealers are the sealers that the store may use. The first is the wanted one. chosen is the
	// index of the current one.
	sealers []sealer
	chosen  int

	db       *database
	journal  *journal.Journal
	sequence uint64 // number of the last commit in either

	ahead   bool            // Open need not wait for the comparison
	trusted bool            // Open does not wait: the database is certain to be current
	closing <-chan struct{} // ends the comparison; nil if nothing does
}

// keys creates the sealers for the keys of cfg.
func (o *opening) keys(cfg Config) error {
	wanted, err := newSealer(cfg.Key)
	if err != nil {
		return err
	}
	o.sealers = []sealer{wanted}
	if cfg.oldKey != nil {
		if cfg.Key == nil {
			return faultf(ErrKey, "a sealed store cannot be converted to clear: a new key is required")
		}
		old, err := newSealer(cfg.oldKey)
		if err != nil {
			return err
		}
		o.sealers = append(o.sealers, old)
	}
	if wanted.seals() && cfg.AcceptClear {
		o.sealers = append(o.sealers, sealer{})
	}
	return nil
}

// sealer is the current sealer of the store.
func (o *opening) sealer() sealer { return o.sealers[o.chosen] }

func (o *opening) close() error {
	var errs []error
	if o.db != nil {
		errs = append(errs, o.db.close())
	}
	if o.journal != nil {
		errs = append(errs, o.journal.Close())
	}
	return errors.Join(errs...)
}

// open opens the database and the journal. The order of its steps makes every rejection happen
// before the first change.
func (o *opening) open() error {
	if err := o.at.settle(o.log); err != nil {
		return err
	}
	known, err := o.findKey()
	if err != nil {
		return err
	}
	var grants *survey
	last, clean := uint64(0), false
	if o.ahead && known {
		last, clean = o.endedCleanly()
	}
	if !clean {
		grants = o.survey() // concurrently with opening the database
		defer func() { grants.end() }()
	}
	db, err := o.openPatiently()
	if errors.Is(err, errStoreClear) && errors.Is(journal.Check(o.at.journal(), nil), journal.ErrKey) {
		return storeReplaced(o.at)
	}
	if last := len(o.sealers) - 1; errors.Is(err, errStoreClear) && o.chosen != last && !o.sealers[last].seals() {
		o.chosen = last // detected although header and journal were lost
		db, err = o.openPatiently()
	}
	if errors.Is(err, errDamaged) {
		// Probe again: the old database is given up only if a new one can be created.
		if err := probe(string(o.at)); err != nil {
			return err
		}
		db, err = o.at.startOver(o.sealer(), o.log, err)
	}
	if err != nil {
		return err
	}
	o.db = db
	if o.trusted = clean && o.trusts(last); o.trusted {
		o.sequence = o.db.sequence
		return nil
	}
	if grants == nil {
		grants = o.survey()
		defer grants.end()
	}
	if err := o.openJournal(grants); err != nil {
		return err
	}
	if o.db.missing > 0 {
		o.log.Error("the store has lost acknowledged commits: its records may be outdated, except those in the journal",
			"dir", string(o.at), "missing", o.db.missing, "last", o.db.sequence)
	}
	if o.chosen != 0 {
		return o.reseal()
	}
	return nil
}

// openPatiently opens the database on a disk that accepts writes, and retries after errors that may
// be transient.
func (o *opening) openPatiently() (db *database, err error) {
	for n := 0; ; n++ {
		err = o.ballast.ensureSpace(openSpace)
		if err == nil {
			err = probe(string(o.at))
		}
		if err == nil {
			db, err = openDatabase(o.at.current(), o.sealer(), o.log)
		}
		if !passing(err) || n == openRetries {
			return db, err
		}
		o.log.Warn("the database could not be opened: retrying", "error", err)
		time.Sleep(openPause)
	}
}

// findKey determines the store's sealer from its header, or without a header from the journal. It
// rejects a store that neither key opens. known reports that the header determined it.
func (o *opening) findKey() (known bool, err error) {
	h, err := readHeader(o.at.current())
	if errors.Is(err, ErrVersion) {
		return false, err
	}
	if err == nil {
		if err := o.admit(h); err != nil {
			return false, err
		}
		return true, o.at.settleJournal(o.sealer(), o.log)
	}
	// The header is missing or unreadable. openDatabase decides whether that is damage.
	if err := o.choose(); err != nil {
		return false, err
	}
	return false, o.at.settleJournal(o.sealer(), o.log)
}

// settleJournal finishes the replacement of the journal by one with another sealer, if a kill
// interrupted it after the replacement of the database. It rejects a journal of another key.
func (p stateDir) settleJournal(s sealer, log hclog.Logger) error {
	err := journal.Check(p.journal(), s.journal)
	if errors.Is(err, journal.ErrKey) {
		if e := journal.Check(p.incomingJournal(), s.journal); e != nil {
			return p.refuseJournal(s)
		}
		log.Info("finishing an interrupted change of the key")
		return errors.Join(os.Rename(p.incomingJournal(), p.journal()), syncDir(string(p)))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Remove(p.incomingJournal()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// reseal reseals the store with the wanted key.
func (o *opening) reseal() error {
	if o.sealer().seals() {
		o.log.Warn("the store is sealed with the old key: sealing it with the new one")
	} else {
		o.log.Warn("the store is in clear and a key is configured: sealing it")
	}
	missing := o.db.missing
	if err := o.copySealed(); err != nil {
		return fmt.Errorf("seal the store: %w", err)
	}
	err := o.close()
	o.db, o.journal = nil, nil
	if err == nil {
		err = o.at.replace()
	}
	if err != nil {
		return fmt.Errorf("seal the store: %w", err)
	}
	o.at.warnOfBroken(o.log)
	o.chosen = 0
	if o.db, err = openDatabase(o.at.current(), o.sealer(), o.log); err != nil {
		return err
	}
	o.db.missing = missing // the copy is complete, but its source was not
	grants := o.survey()
	defer grants.end()
	return o.openJournal(grants)
}
