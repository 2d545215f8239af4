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

// Config is what Open needs.
type Config struct {
	// Dir is the state directory. It is made, with mode 0700, if it is missing.
	Dir string

	// Key seals the records: KeySize bytes. Nil keeps them in clear. It is not
	// kept beyond Open.
	Key []byte

	// AcceptClear seals with Key what is in clear. Without it, Open and Restore refuse a store, a
	// journal or a backup in clear if there is a Key (ErrClear).
	AcceptClear bool

	// Ahead makes Open return before the journal and the database have been compared, where the
	// last run has ended cleanly: Get and All answer, but for All of what the journal keeps too,
	// which waits as Put does. Agree waits for the end of it, and has the errors that Open has
	// otherwise.
	Ahead bool

	// Logger is told of what a person should know, and of what Badger says. Nil is
	// silence.
	Logger hclog.Logger

	// oldKey is the key that the store may still be sealed with: Rekey seals it again with Key. Nil
	// stands for none.
	oldKey []byte

	minFree uint64 // for tests: zero for the constant
}

// free returns minFree or what stands for its zero value.
func (c Config) free() uint64 { return cmp.Or(c.minFree, leastFree) }

// logger returns Logger or what stands for its zero value.
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

	accord  accord
	journal *journal.Journal // set when the accord is reached; nil where it cannot be

	queue   chan *put
	retry   chan struct{} // keeper to committer: try again to drain
	alarm   chan struct{} // to the keeper: something wants to be seen to
	grown   chan struct{} // to the keeper: the journal wants a compaction, now
	closing chan struct{} // closed by Close
	stopped chan struct{} // closed when the committer has ended
	wg      sync.WaitGroup

	once     sync.Once // guards closing and closeErr
	closeErr error
	late     <-chan error // of a database that Close did not wait for; nil for none

	mu      sync.Mutex
	closed  bool
	current *handle // nil while the database is being opened anew
	down    error   // why nothing is written to the database; nil while all is well
	pending pending
	leaving pending // on its way to the database; older than what is pending

	// followed is what the last drain has brought to the database, which has not been written to
	// since: what has just come is what is asked for, and put anew, next. It is kept until the next
	// drain, or for as long as one would have waited.
	followed pending

	stalled bool // the database does not take what is pending
	missing uint64

	reserve atomic.Uint64 // bytes that must be free for a commit
	applied atomic.Uint64 // number of the last commit that the database has, and all before it
	lagging atomic.Bool   // the database has taken what the journal has refused
	resting atomic.Bool   // the journal has just been compacted
	counts  counts

	// The committer's, when the accord is reached, and Close's after it has ended.
	sequence uint64 // number of the last commit that was tried
	trail    trail
	draining *drain           // under way; nil for none
	kept     []journal.Record // reused
}

// Missing returns how many commits were acknowledged and could not be found when the database
// was last opened. Where it is not zero, the newest records may be gone and older ones of
// the same keys in their place; not so those that are irreplaceable, which the journal has.
func (s *Store) Missing() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.missing
}

// recordKey returns the key of a record in the database.
func recordKey(table record.Table, key string) []byte {
	b := make([]byte, 0, len(table)+1+len(key))
	b = append(b, table...)
	b = append(b, 0)
	return append(b, key...)
}

// Close ends the store: a commit that is under way is finished, a Put that waits for one gets
// ErrClosed. Nothing that Open started is running afterwards, unless the disk is full, refuses what
// Badger writes at its end or takes very long: then the database is left as a kill would leave it.
// Closing twice returns the same.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.closing)
		s.wg.Wait()
		_ = s.drain() // what stands against it has been said, and the journal has it
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.closeErr = s.closeDatabase()
		if s.journal != nil {
			s.closeErr = errors.Join(s.closeErr, s.journal.Close())
		}
		if s.late == nil { // else the database is still being written to, and the lock ends with the process
			s.closeErr = errors.Join(s.closeErr, s.lock.Close())
		}
	})
	return s.closeErr
}

// closeLimit is how long Close waits for Badger, which needs some tenths of a second on a
// disk that works.
const closeLimit = 15 * time.Second

func (s *Store) closeDatabase() error {
	db := s.retire()
	if db == nil {
		return nil
	}
	// Badger does harm to its tables where the disk refuses what it writes at its end; without that
	// end there is nothing that its logs do not have.
	err := inPlace(s.dir, s.lock)
	if err == nil {
		err = s.ballast.makeRoom(openRoom)
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
		// What was given up for it is of more use to the next start.
		_ = s.ballast.restore(s.reserve.Load())
		return err
	case <-time.After(s.closeLimit):
		s.log.Warn("the database takes too long to close, stopping without it: the next start reads its logs, and nothing is lost", "waited", s.closeLimit)
		s.late = done
		return nil
	}
}

const (
	// leastFree is how many bytes must be free for a commit: two memory tables, their logs and a few
	// tables of level zero. The room that Badger's compactions take comes on top.
	leastFree = 16 << 20

	// maxCompactionRoom bounds compactionRoom: one compaction rewrites one table
	// and what it overlaps in the next level, and two run at a time.
	maxCompactionRoom = 64 << 20

	// sequenceRoom is what a transaction keeps free for the sequence record.
	sequenceRoom = 256
)

// reserveFor returns how many bytes must be free for a commit to the database in dir.
func reserveFor(minFree uint64, dir string) uint64 { return minFree + compactionRoom(dir) }

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
