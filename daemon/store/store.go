package store

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"github.com/hashicorp/go-hclog"

	"tokend/daemon/record"
)

// Config is what Open needs.
type Config struct {
	// Dir is the state directory. It is made, with mode 0700, if it is missing.
	Dir string

	// Key seals the records: KeySize bytes. Nil keeps them in clear. It is not
	// kept beyond Open.
	Key []byte

	// MinFree is how many bytes must be free for a commit; the room that Badger's
	// compactions take comes on top. Zero means 16 MiB: two
	// memory tables, their logs and a few tables of level zero.
	MinFree uint64

	// Logger is told of what a person should know, and of what Badger says. Nil is
	// silence.
	Logger hclog.Logger
}

// Store is an open store. Its methods may be called concurrently.
type Store struct {
	// Set by Open, read-only after.
	dir      string
	reserve  uint64 // bytes that must be free for a commit
	log      hclog.Logger
	lock     *os.File
	db       *database
	maxBytes int // of one transaction
	maxCount int // entries of one transaction
	sealer   sealer

	queue   chan *put
	closing chan struct{} // closed by Close
	stopped chan struct{} // closed when the committer has ended
	wg      sync.WaitGroup

	once     sync.Once // guards closing and closeErr
	closeErr error

	readers sync.RWMutex // held for reading by All, so that Close waits for it
	closed  bool         // guarded by readers

	failed error // the committer's: why nothing is written any more
}

// Open opens the store in cfg.Dir, or makes one. It refuses, and leaves untouched, a
// directory that others can read (ErrMode), a store that another process uses
// (ErrLocked), one whose key is another (ErrKey), one that a later tokend wrote
// (ErrVersion), and a disk that is full (ErrDiskFull). A store that cannot be read is moved aside, said loudly in
// the log, and replaced by an empty one. A store in clear is sealed if a key is given.
func Open(cfg Config) (_ *Store, err error) {
	log := cfg.Logger
	if log == nil {
		log = hclog.NewNullLogger()
	}
	seal, err := newSealer(cfg.Key)
	if err != nil {
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
		if err != nil {
			_ = lock.Close()
		}
	}()
	if cfg.MinFree == 0 {
		cfg.MinFree = defaultMinFree
	}
	at := place(cfg.Dir)
	reserve := cfg.MinFree + compactionRoom(at.current())
	if err := checkSpace(cfg.Dir, reserve); err != nil {
		return nil, err
	}
	if err := at.settle(); err != nil {
		return nil, err
	}
	db, err := openDatabase(at.current(), seal, log)
	if errors.Is(err, errDamaged) {
		db, err = at.startOver(seal, log, err)
	}
	if err != nil {
		return nil, err
	}
	if seal.seals() && !db.sealer.seals() {
		if db, err = at.rewrite(db, seal, reserve, log); err != nil {
			return nil, err
		}
	}
	if db.missing > 0 {
		log.Error("the store has lost commits that were acknowledged: what it holds may be out of date",
			"dir", cfg.Dir, "missing", db.missing, "last", db.sequence)
	}
	s := &Store{
		dir: cfg.Dir, reserve: reserve, log: log, lock: lock, db: db, sealer: db.sealer,
		maxBytes: int(db.MaxBatchSize()) - sequenceRoom,
		maxCount: int(db.MaxBatchCount()) - 2, // the sequence record, and Badger wants less than the count
		queue:    make(chan *put, queueLength),
		closing:  make(chan struct{}),
		stopped:  make(chan struct{}),
	}
	s.wg.Go(s.commits)
	return s, nil
}

// Missing returns how many commits were acknowledged before this open and could not be
// found by it. Where it is not zero, the newest records may be gone and
// older ones of the same keys in their place.
func (s *Store) Missing() uint64 { return s.db.missing }

// Get returns the record of a key; its Value is nil where there is none, and the
// caller's where there is one. A record that does not open is an error.
func (s *Store) Get(table record.Table, key string) (record.Record, error) {
	s.readers.RLock()
	defer s.readers.RUnlock()
	r := record.Record{Table: table, Key: key}
	if s.closed {
		return r, ErrClosed
	}
	k := recordKey(table, key)
	stored, err := s.db.stored(k)
	switch {
	case errors.Is(err, badger.ErrKeyNotFound):
		return r, nil
	case err == nil:
		r.Value, err = s.sealer.open([]byte{}, k, stored)
	}
	if err != nil {
		return r, fmt.Errorf("%s %s: %w", table, key, err)
	}
	return r, nil
}

// All yields every record of a table as it stood when the iteration began. A
// record that does not open is yielded by table and key with an error, and the
// iteration goes on. Values belong to the caller. Put may be called from within
// the loop; Close may not: it waits for the loop to end.
func (s *Store) All(table record.Table) iter.Seq2[record.Record, error] {
	return func(yield func(record.Record, error) bool) {
		s.readers.RLock()
		defer s.readers.RUnlock()
		if s.closed {
			yield(record.Record{Table: table}, ErrClosed)
			return
		}
		prefix := recordKey(table, "")
		for e, err := range s.db.entries(prefix) {
			r := record.Record{Table: table, Key: string(e.key[len(prefix):])}
			if err != nil {
				err = fmt.Errorf("%s %s: %w", table, r.Key, err)
			} else {
				r.Value = e.value
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// recordKey returns the key of a record in the database.
func recordKey(table record.Table, key string) []byte {
	b := make([]byte, 0, len(table)+1+len(key))
	b = append(b, table...)
	b = append(b, 0)
	return append(b, key...)
}

// Close ends the store: a commit that is under way is finished, a Put that waits
// for one gets ErrClosed. Nothing that Open started is running afterwards. Closing
// twice returns the same.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.closing)
		s.wg.Wait()
		s.readers.Lock()
		s.closed = true
		s.readers.Unlock()
		s.closeErr = errors.Join(s.db.close(), s.lock.Close())
	})
	return s.closeErr
}

const (
	defaultMinFree = 16 << 20

	// maxCompactionRoom bounds compactionRoom: one compaction rewrites one table
	// and what it overlaps in the next level, and two run at a time.
	maxCompactionRoom = 64 << 20

	// sequenceRoom is what a transaction keeps free for the sequence record.
	sequenceRoom = 256
)

// compactionRoom returns how many bytes compactions in dir may take before they
// give back as many.
func compactionRoom(dir string) uint64 {
	var tables uint64
	entries, _ := os.ReadDir(dir) // no directory, no tables
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), ".sst") {
			tables += uint64(info.Size())
		}
	}
	return min(tables/2, maxCompactionRoom)
}
