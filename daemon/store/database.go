package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// database is one Badger directory with its header and its mark. Its owner sees to
// it that commits do not overlap; reads may.
type database struct {
	*badger.DB
	dir    string
	log    hclog.Logger
	sealer sealer // of its records
	mark   mark
	wal    wal // where Badger does not sync

	latest latest // what its last commit has left, to be read

	sequence uint64 // number of the last commit
	missing  uint64 // commits that were acknowledged and were not found at open
	made     bool   // there was none before
}

// entry is a record as the database sees it: with its value as it is stored. A nil value
// deletes the key.
type entry struct{ key, value []byte }

// systemKey returns a key of the store's own; no table's keys begin like it.
func systemKey(name string) []byte { return append([]byte{0}, name...) }

// sequenceKey holds the number of the last commit.
var sequenceKey = systemKey("sequence")

// openDatabase opens the database in dir, or makes one that is kept as s says. The error
// wraps errDamaged where there is a database that cannot be read.
func openDatabase(dir string, s sealer, log hclog.Logger) (*database, error) {
	h, made, err := findHeader(dir, s)
	lost := errors.Is(err, errBadHeader)
	if err != nil && !lost {
		return nil, diagnose(dir, err)
	}
	if !lost {
		if err := h.admits(s); err != nil {
			return nil, err
		}
	}
	if err := removeEmptyLogs(dir); err != nil {
		return nil, diagnose(dir, err)
	}
	db, err := openBadger(dir, log)
	if err != nil {
		return nil, err
	}
	d := &database{DB: db, dir: dir, log: log, sealer: s, made: made}
	if lost {
		err = d.restoreHeader()
	}
	if err == nil {
		err = d.readSequence()
	}
	if err == nil {
		err = tighten(dir)
	}
	if err == nil && !badgerSyncs {
		d.wal, err = openWAL(dir)
	}
	if err != nil {
		// What closing says besides is of the same making.
		_, _, _ = d.mark.close(), d.wal.close(), db.Close()
		return nil, diagnose(dir, err)
	}
	d.latest.renew(d.NewTransaction(false))
	return d, nil
}

// findHeader returns the header of the database in dir, and makes directory and
// header where there is no database.
func findHeader(dir string, s sealer) (h header, made bool, err error) {
	h, err = readHeader(dir)
	if !errors.Is(err, errNoHeader) {
		return h, false, err
	}
	if _, err := os.Stat(filepath.Join(dir, badger.ManifestFilename)); !errors.Is(err, fs.ErrNotExist) {
		return header{}, false, errors.Join(errBadHeader, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return header{}, false, err
	}
	h = newHeader(s)
	return h, true, errors.Join(writeHeader(dir, h), syncDir(filepath.Dir(dir)))
}

// openBadger checks the tables in dir and opens Badger. Badger panics on some
// damage; what it had started by then is left behind, in a directory that is about to
// be moved aside.
func openBadger(dir string, log hclog.Logger) (db *badger.DB, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // of its logs, which it reads here
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, diagnose(dir, fmt.Errorf("badger panicked: %v", p))
		}
	}()
	if err := checkTables(dir); err != nil {
		return nil, diagnose(dir, err)
	}
	db, err = badger.Open(badgerOptions(dir, log))
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, faultf(ErrLocked, "another program is using %s", dir)
	}
	if err != nil {
		return nil, diagnose(dir, err)
	}
	return db, nil
}

// flushLimit is how long awaitFlush waits: a flush is two megabytes.
const flushLimit = 5 * time.Second

// awaitFlush waits until Badger has written to tables what it found in its logs, which it does
// behind Open's back. Each log but the one in use is gone then.
func (d *database) awaitFlush() {
	for began := time.Now(); time.Since(began) < flushLimit; time.Sleep(2 * time.Millisecond) {
		if logs, _ := filepath.Glob(filepath.Join(d.dir, "*.mem")); len(logs) <= 1 {
			return
		}
	}
	d.log.Warn("the logs of the last run are not yet in tables")
}

// restoreHeader makes a lost header again from the sequence record, which every
// commit writes and which is sealed as all others are.
func (d *database) restoreHeader() error {
	stored, err := d.stored(sequenceKey)
	if err != nil {
		return errors.Join(errBadHeader, err)
	}
	if len(stored) > 0 && stored[0] == formatClear && d.sealer.seals() {
		return errStoreClear
	}
	if _, err := d.sealer.open(nil, sequenceKey, stored); err != nil {
		// Damage would have failed Badger's checksum: it is the key.
		return faultf(ErrKey, "the encryption_key is missing or not the one that the store was sealed with")
	}
	d.log.Warn("the store's header was damaged and has been made again")
	return writeHeader(d.dir, newHeader(d.sealer))
}

// readSequence compares the number of the last commit with the mark's.
func (d *database) readSequence() error {
	stored, err := d.stored(sequenceKey)
	switch {
	case errors.Is(err, badger.ErrKeyNotFound): // nothing was ever committed, or all is gone
	case err != nil:
		return err
	default:
		if d.sequence, err = d.number(stored); err != nil {
			return err
		}
	}
	m, last, damaged, err := openMark(d.dir)
	if err != nil {
		return err
	}
	d.mark = m
	if damaged {
		d.log.Warn("the sequence mark is damaged: the loss of the last commits would go unseen this once", "file", markFile)
	}
	if last > d.sequence {
		// Number on from the mark: the gap is then reported until the next
		// commit, and no longer.
		d.missing, d.sequence = last-d.sequence, last
	}
	return nil
}

// number opens the sequence record.
func (d *database) number(stored []byte) (uint64, error) {
	b, err := d.sealer.open(nil, sequenceKey, stored)
	if refusal := d.refuseRecord(stored); refusal != nil {
		return 0, refusal
	}
	if err != nil || len(b) != 8 {
		return 0, fmt.Errorf("sequence record: %w", ErrSealed)
	}
	return binary.BigEndian.Uint64(b), nil
}

// value returns what is kept under key, opened, in the place of dst if that has room: never nil
// where dst is not. Its error is [badger.ErrKeyNotFound] where there is none; dst is returned then.
func (d *database) value(txn *badger.Txn, key, dst []byte) ([]byte, error) {
	item, err := txn.Get(key)
	if err != nil {
		return dst, err
	}
	err = item.Value(func(stored []byte) (err error) {
		dst, err = d.sealer.open(dst[:0], key, stored)
		return err
	})
	return dst, err
}

// stored returns the value under key as it is kept.
func (d *database) stored(key []byte) ([]byte, error) {
	txn := d.NewTransaction(false)
	defer txn.Discard()
	item, err := txn.Get(key)
	if err != nil {
		return nil, err
	}
	return item.ValueCopy(nil)
}

// commit makes entries, and number as that of the last commit, durable in one
// transaction.
func (d *database) commit(number uint64, entries []entry) error {
	if !d.mark.inPlace(d.dir) {
		return fmt.Errorf("%w: %s was deleted, or moved away, while it was in use", ErrFailed, d.dir)
	}
	txn := d.NewTransaction(true)
	defer txn.Discard()
	for _, e := range entries {
		var err error
		if e.value == nil {
			err = txn.Delete(e.key)
		} else {
			err = txn.Set(e.key, e.value)
		}
		if err != nil {
			return err
		}
	}
	b := binary.BigEndian.AppendUint64(nil, number)
	if err := txn.Set(sequenceKey, d.sealer.seal(sequenceKey, b)); err != nil {
		return err
	}
	err := txn.Commit()
	if err == nil && !badgerSyncs {
		err = d.wal.sync()
	}
	if err != nil {
		return failed(err)
	}
	d.latest.renew(d.NewTransaction(false))
	d.sequence = number
	if err := d.mark.set(number); err != nil {
		// What was committed is durable all the same.
		d.log.Warn("the sequence mark was not written: a gap would go unseen", "error", err)
	}
	return nil
}

// bulk commits many entries in as many transactions as it takes. Only the last one, by
// finish, advances the number of the last commit: a kill before leaves it where it was.
type bulk struct {
	db       *database
	maxBytes int
	maxCount int
	entries  []entry
	bytes    int
}

func newBulk(db *database) *bulk {
	b := &bulk{db: db}
	b.maxBytes, b.maxCount = db.transaction()
	return b
}

func (b *bulk) add(e entry) error {
	return b.addWhole([]entry{e}, len(e.key)+len(e.value)+entryRoom)
}

// addWhole adds entries of so many bytes to one transaction. It has room for them.
func (b *bulk) addWhole(entries []entry, bytes int) error {
	var err error
	if b.bytes+bytes > b.maxBytes || len(b.entries)+len(entries) > b.maxCount {
		err = b.db.commit(b.db.sequence, b.entries)
		b.entries, b.bytes = b.entries[:0], 0
	}
	b.entries, b.bytes = append(b.entries, entries...), b.bytes+bytes
	return err
}

func (b *bulk) finish(number uint64) error { return b.db.commit(number, b.entries) }

// transaction returns how many bytes, and how many entries, a transaction holds besides the
// sequence record.
func (d *database) transaction() (bytes, count int) {
	// Badger adds an entry of its own, and wants less than the count.
	return int(d.MaxBatchSize()) - sequenceRoom, int(d.MaxBatchCount()) - 3
}

// entries yields what is kept under keys with a prefix, opened. Key and value are the
// caller's until the next step.
func (d *database) entries(txn *badger.Txn, prefix []byte) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		value := []byte{} // what is there is never nil
		for e, err := range d.storedEntries(txn, prefix) {
			if err == nil {
				value, err = d.sealer.open(value[:0], e.key, e.value)
			}
			next := entry{key: e.key}
			if err == nil {
				next.value = value
			}
			if !yield(next, err) {
				return
			}
		}
	}
}

// storedEntries yields what is kept under keys with a prefix as it is stored. Key and value
// are valid until the next step.
func (d *database) storedEntries(txn *badger.Txn, prefix []byte) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		o := badger.DefaultIteratorOptions
		o.Prefix = prefix
		o.PrefetchValues = false // it starts a goroutine for each; inline values need none
		it := txn.NewIterator(o)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			item, more := it.Item(), true
			err := item.Value(func(stored []byte) error {
				more = yield(entry{item.Key(), stored}, nil)
				return nil
			})
			if err != nil {
				more = yield(entry{item.Key(), nil}, err)
			}
			if !more {
				return
			}
		}
	}
}

// close ends the database. What was committed is durable before.
func (d *database) close() error {
	d.latest.end()
	return errors.Join(d.mark.close(), d.wal.close(), d.Close(), tighten(d.dir))
}
