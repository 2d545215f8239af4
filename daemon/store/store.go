package store

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/record"
	"tokend/daemon/store/journal"
)

// Config configures a store.
type Config struct {
	// Dir is the state directory. Open creates it with mode 0700 if it is missing.
	Dir string

	// Key seals the records. It has KeySize bytes. Nil stores them in clear. Open does not keep it.
	Key []byte

	// AcceptClear seals with Key a store or backup that is in clear. Without it, Open and Restore
	// reject a store, a journal or a backup in clear if there is a Key (ErrClear).
	AcceptClear bool

	// Ahead lets Open return before the journal and the database have been compared, if the last
	// run ended cleanly. Get and All then work at once. Put waits for the comparison, and so does
	// All for tables that the journal also has. Agree waits for it too, and returns the errors that
	// Open would return otherwise.
	Ahead bool

	// Logger receives what an operator should know, and Badger's log. Nil disables logging.
	Logger hclog.Logger

	// oldKey is the key that the store may still be sealed with. Rekey sets it, and the store is
	// resealed with Key. Nil means none.
	oldKey []byte

	minFree uint64 // for tests: zero selects the constant
}

// free returns minFree or its default.
func (c Config) free() uint64 { return cmp.Or(c.minFree, leastFree) }

// logger returns Logger or its default.
func (c Config) logger() hclog.Logger {
	if c.Logger == nil {
		return hclog.NewNullLogger()
	}
	return c.Logger
}

// Store is an open store. Its methods may be called concurrently.
type Store struct {
	// Set by Open, read-only after.
	dir        string
	minFree    uint64
	closeLimit time.Duration
	log        hclog.Logger
	lock       *os.File
	sealer     sealer
	ballast    ballast
	maxBytes   int // of one transaction
	maxCount   int // entries of one transaction

	reconciliation reconciliation
	journal        *journal.Journal // set when the accord is reached; nil after a failure

	queue   chan *put
	retry   chan struct{} // keeper to committer: retry the drain
	alarm   chan struct{} // to the keeper: something needs a repair
	grown   chan struct{} // to the keeper: the journal needs a compaction
	closing chan struct{} // closed by Close
	stopped chan struct{} // closed when the committer has ended
	wg      sync.WaitGroup

	once     sync.Once // guards closing and closeErr
	closeErr error
	late     <-chan error // a database that Close did not wait for; nil if none

	mu      sync.Mutex
	closed  bool
	current *handle // nil while the database is being reopened
	down    error   // why the database is not written to; nil if it is
	pending pending
	leaving pending // being written to the database; older than pending

	// followed is what the last drain wrote to the database, which has not been written to since.
	// Recent records are the ones most likely to be read or stored again next. They are kept until
	// the next drain, or for as long as one would have waited.
	followed pending

	stalled bool // the database rejects pending records
	missing uint64

	reserve atomic.Uint64 // bytes that must be free for a commit
	applied atomic.Uint64 // the database has this commit and all before it
	lagging atomic.Bool   // the database took records that the journal rejected
	resting atomic.Bool   // the journal has just been compacted
	counts  counts

	// The fields below belong to the committer once the accord is reached, and to Close after the
	// committer has ended.
	sequence   uint64 // number of the last commit that was attempted
	drainTimer drainTimer
	draining   *drain           // in progress; nil if none
	kept       []journal.Record // reused
}

// Missing returns how many acknowledged commits were not found when the database was last opened.
// If it is not zero, the newest records may be missing or outdated. Irreplaceable records are not
// affected, because the journal has them.
func (s *Store) Missing() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.missing
}

// recordKey returns the database key of a record.
func recordKey(table record.Table, key string) []byte {
	b := make([]byte, 0, len(table)+1+len(key))
	b = append(b, table...)
	b = append(b, 0)
	return append(b, key...)
}

// Close closes the store. A commit in progress is finished; a Put that waits for one returns
// ErrClosed. After Close nothing that Open started is running. The exception is a disk that is
// full, rejects Badger's last writes or is very slow: the database is then left as a kill would
// leave it. Closing again returns the same result.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.closing)
		s.wg.Wait()
		_ = s.drain() // a failure has been logged, and the journal has the records
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.closeErr = s.closeDatabase()
		if s.journal != nil {
			s.closeErr = errors.Join(s.closeErr, s.journal.Close())
		}
		// Otherwise the database is still being written to, and the lock ends with the process.
		if s.late == nil {
			s.closeErr = errors.Join(s.closeErr, s.lock.Close())
		}
	})
	return s.closeErr
}

// closeLimit is how long Close waits for Badger, which takes some tenths of a second on a working
// disk.
const closeLimit = 15 * time.Second

func (s *Store) closeDatabase() error {
	db := s.retire()
	if db == nil {
		return nil
	}
	// Badger damages its tables if the disk rejects its last writes. Without those writes, its logs
	// still have everything.
	err := inPlace(s.dir, s.lock)
	if err == nil {
		err = s.ballast.ensureSpace(openSpace)
	}
	if err == nil {
		err = probe(s.dir)
	}
	if err != nil {
		return fmt.Errorf("the database is left unclosed: %w", err)
	}
	done := shut(db)
	select {
	case err := <-done:
		// Restore the ballast: the next start needs it.
		_ = s.ballast.restore(s.reserve.Load())
		return err
	case <-time.After(s.closeLimit):
		s.log.Warn("closing the database takes too long: stopping without it; nothing is lost, because the next start reads its logs", "waited", s.closeLimit)
		s.late = done
		return nil
	}
}

const (
	// leastFree is how many bytes must be free for a commit: two memory tables, their logs and some
	// tables of level zero. compactionSpace is added to it.
	leastFree = 16 << 20

	// maxCompactionSpace bounds compactionSpace. A compaction rewrites one table and those that it
	// overlaps in the next level, and two run at a time.
	maxCompactionSpace = 64 << 20

	// sequenceOverhead is the part of a transaction that is left for the sequence record.
	sequenceOverhead = 256
)

// Reserve returns how many bytes must be free for a write to the store in the state directory dir.
func Reserve(dir string) uint64 { return reserveFor(leastFree, stateDir(dir).current()) }

// reserveFor returns how many bytes must be free for a commit to the database in dir.
func reserveFor(minFree uint64, dir string) uint64 { return minFree + compactionSpace(dir) }

// compactionSpace returns how many bytes compactions in dir may use temporarily.
func compactionSpace(dir string) uint64 {
	var tables uint64
	entries, _ := os.ReadDir(dir) // no directory means no tables
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), ".sst") {
			tables += uint64(info.Size())
		}
	}
	return min(tables/2, maxCompactionSpace)
}
