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

// Open opens the store in cfg.Dir, or makes one. It refuses, and leaves untouched, a directory that
// others can read (ErrMode), a store that another process uses (ErrLocked), one whose key is
// another (ErrKey), one that a later tokend wrote (ErrVersion), a disk that is full (ErrDiskFull),
// and one that refuses (ErrFailed). A database that cannot be read is moved aside, said loudly in
// the log, and replaced by an empty one; what is irreplaceable comes from the journal. A store in
// clear is refused if a key is given (ErrClear), or sealed with cfg.AcceptClear; one that is sealed
// with cfg.oldKey is sealed with cfg.Key.
func Open(cfg Config) (_ *Store, err error) {
	o := opening{at: place(cfg.Dir), log: cfg.logger(), ballast: newBallast(cfg.Dir), reserve: cfg.free(), ahead: cfg.Ahead}
	if err := o.keys(cfg); err != nil {
		return nil, err
	}
	defer func() {
		if _, worded := errors.AsType[*fault](err); err != nil && !worded && (limitOf(err) != nil || is(err, syscall.EROFS)) {
			err = refusal(cfg.Dir, err) // whichever step it was
		}
	}()
	if err := checkFiles(cfg.Dir); err != nil {
		return nil, err
	}
	if err := prepareDir(cfg.Dir); err != nil {
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
			o.log.Warn("what was opened did not close well", "error", plain(e))
		}
	}()
	if err := o.open(); err != nil {
		return nil, err
	}
	s := &Store{
		dir: cfg.Dir, minFree: cfg.free(), closeLimit: closeLimit, log: o.log, lock: lock, sealer: o.sealer(),
		ballast: o.ballast, accord: accord{reached: make(chan struct{})},
		current: &handle{db: o.db}, missing: o.db.missing,
		queue:   make(chan *put, queueLength),
		retry:   make(chan struct{}, 1),
		alarm:   make(chan struct{}, 1),
		grown:   make(chan struct{}, 1),
		closing: make(chan struct{}),
		stopped: make(chan struct{}),
		trail:   newTrail(),
	}
	s.maxBytes, s.maxCount = o.db.transaction()
	s.reserve.Store(reserveFor(s.minFree, o.db.dir))
	if s.checkRoom() != nil {
		o.db.awaitFlush() // into the room that was made for it, before that goes to the ballast or to others
	}
	if s.ballast.sparse() {
		s.ballast.release() // it holds no room; a copy of the state directory may have made it so
	}
	if err := s.ballast.restore(s.reserve.Load()); err != nil {
		o.log.Warn("no ballast could be made yet: a full disk is survived less surely", "error", err)
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

// openRetries is how often a database is tried again, after openPause, that gives an error of the
// disk which may pass.
const (
	openRetries = 3
	openPause   = 500 * time.Millisecond
)

// opening is a store on its way to being open. What it has opened is in db and journal.
type opening struct {
	at      place
	log     hclog.Logger
	ballast ballast
	reserve uint64

	// sealers are what the store may be sealed with; the first is what it is to be sealed
	// with. chosen is the one it is sealed with.
	sealers []sealer
	chosen  int

	db       *database
	journal  *journal.Journal
	sequence uint64 // number of the last commit that either knows of

	ahead   bool            // Open need not wait for the two to be compared
	trusted bool            // and does not: what the database has is in force for certain
	closing <-chan struct{} // ends the comparison; nil: nothing does
}

// keys makes sealers of the keys of cfg.
func (o *opening) keys(cfg Config) error {
	wanted, err := newSealer(cfg.Key)
	if err != nil {
		return err
	}
	o.sealers = []sealer{wanted}
	if cfg.oldKey != nil {
		if cfg.Key == nil {
			return faultf(ErrKey, "a sealed store cannot be put in clear: a new key is needed")
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

// sealer is what the store is sealed with.
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

// open opens database and journal, in that order of steps which lets every refusal come
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
		grants = o.survey() // beside the database
		defer func() { grants.end() }()
	}
	db, err := o.openPatiently()
	if errors.Is(err, errStoreClear) && errors.Is(journal.Check(o.at.journal(), nil), journal.ErrKey) {
		return storeReplaced(o.at)
	}
	if last := len(o.sealers) - 1; errors.Is(err, errStoreClear) && o.chosen != last && !o.sealers[last].seals() {
		o.chosen = last // found out although header and journal were lost
		db, err = o.openPatiently()
	}
	if errors.Is(err, errDamaged) {
		// Once more: only where a new database can be made is the old one given up.
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
		o.log.Error("the store has lost commits that were acknowledged: what it holds may be out of date, but for what the journal keeps",
			"dir", string(o.at), "missing", o.db.missing, "last", o.db.sequence)
	}
	if o.chosen != 0 {
		return o.reseal()
	}
	return nil
}

// openPatiently opens the database on a disk that takes what is written, and tries again where the
// disk may think better of it.
func (o *opening) openPatiently() (db *database, err error) {
	for n := 0; ; n++ {
		err = o.ballast.makeRoom(openRoom)
		if err == nil {
			err = probe(string(o.at))
		}
		if err == nil {
			db, err = openDatabase(o.at.current(), o.sealer(), o.log)
		}
		if !passing(err) || n == openRetries {
			return db, err
		}
		o.log.Warn("the database could not be opened: trying again", "error", err)
		time.Sleep(openPause)
	}
}

// findKey finds out what the store is sealed with, from its header, or where there is
// none from the journal, and refuses what neither of the keys opens. known: the header says it.
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
	// There is none, or it cannot be read; whether that is damage is openDatabase's to say.
	if err := o.choose(); err != nil {
		return false, err
	}
	return false, o.at.settleJournal(o.sealer(), o.log)
}

// settleJournal finishes the replacement of the journal by one that is sealed otherwise, if a
// kill has come between that of the database and it, and refuses a journal of another key.
func (p place) settleJournal(s sealer, log hclog.Logger) error {
	err := journal.Check(p.journal(), s.journal)
	if errors.Is(err, journal.ErrKey) {
		if e := journal.Check(p.incomingJournal(), s.journal); e != nil {
			return p.refuseJournal(s)
		}
		log.Info("finishing the change of the key that was interrupted")
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

// reseal seals the store anew, with the key that is wanted.
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
	o.db.missing = missing // the copy is whole, what it was made of was not
	grants := o.survey()
	defer grants.end()
	return o.openJournal(grants)
}
