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

// database is one Badger directory with its header and its mark. The caller must not run commits
// concurrently. Reads may be concurrent.
type database struct {
	*badger.DB
	dir    string
	log    hclog.Logger
	sealer sealer // of its records
	mark   mark
	wal    wal // used where Badger does not sync

	latest latest // what readers read: the state after the last commit

	sequence uint64 // number of the last commit
	missing  uint64 // acknowledged commits that were not found at open
	made     bool   // the database was created at open
}

// entry is a record with its stored value. A nil value deletes the key.
type entry struct{ key, value []byte }

// systemKey returns a key for the store itself. No table's keys start with 0x00.
func systemKey(name string) []byte { return append([]byte{0}, name...) }

// sequenceKey holds the number of the last commit.
var sequenceKey = systemKey("sequence")

// openDatabase opens the database in dir, or creates one with sealer s. The error wraps errDamaged
// if the existing database cannot be read.
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
		// Errors of closing have the same cause.
		_, _, _ = d.mark.close(), d.wal.close(), db.Close()
		return nil, diagnose(dir, err)
	}
	d.latest.renew(d.NewTransaction(false))
	return d, nil
}

// findHeader returns the header of the database in dir. If there is no database, it creates the
// directory and the header.
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

// openBadger checks the tables in dir and opens Badger. Badger panics on some damage. What it had
// started by then leaks, but its directory is about to be moved aside.
func openBadger(dir string, log hclog.Logger) (db *badger.DB, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // for Badger's memory-mapped logs
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

// flushLimit bounds awaitFlush. A flush writes two megabytes.
const flushLimit = 5 * time.Second

// awaitFlush waits until Badger has flushed its old logs to tables, which it does in the background
// after Open. Then only the current log is left.
func (d *database) awaitFlush() {
	for began := time.Now(); time.Since(began) < flushLimit; time.Sleep(2 * time.Millisecond) {
		if logs, _ := filepath.Glob(filepath.Join(d.dir, "*.mem")); len(logs) <= 1 {
			return
		}
	}
	d.log.Warn("the logs of the last run are not yet flushed to tables")
}

// restoreHeader recreates a damaged header. The sequence record, which every commit writes, shows
// whether the store is sealed and whether the key is right.
func (d *database) restoreHeader() error {
	stored, err := d.stored(sequenceKey)
	if err != nil {
		return errors.Join(errBadHeader, err)
	}
	if len(stored) > 0 && stored[0] == formatClear && d.sealer.seals() {
		return errStoreClear
	}
	if _, err := d.sealer.open(nil, sequenceKey, stored); err != nil {
		// Damage would have failed Badger's checksum, so the key is wrong.
		return faultf(ErrKey, "the encryption_key is missing or is not the key that the store was sealed with")
	}
	d.log.Warn("the store's header was damaged and has been recreated")
	return writeHeader(d.dir, newHeader(d.sealer))
}

// readSequence compares the number of the last commit with the mark.
func (d *database) readSequence() error {
	stored, err := d.stored(sequenceKey)
	switch {
	case errors.Is(err, badger.ErrKeyNotFound): // nothing was committed yet, or everything is lost
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
		d.log.Warn("the sequence mark is damaged: a loss of the last commits cannot be detected at this start", "file", markFile)
	}
	if last > d.sequence {
		// Continue numbering from the mark. The gap is reported until the next commit.
		d.missing, d.sequence = last-d.sequence, last
	}
	return nil
}

// number decodes the sequence record.
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

// value returns the opened value under key, appended to dst[:0]. The result is not nil unless dst
// is nil. The error is [badger.ErrKeyNotFound] if there is none, and the result is then dst.
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

// stored returns the stored form of the value under key.
func (d *database) stored(key []byte) ([]byte, error) {
	txn := d.NewTransaction(false)
	defer txn.Discard()
	item, err := txn.Get(key)
	if err != nil {
		return nil, err
	}
	return item.ValueCopy(nil)
}

// commit makes entries durable in one transaction, together with number as the last commit.
func (d *database) commit(number uint64, entries []entry) error {
	if err := d.write(number, entries, (*wal).sync); err != nil {
		return err
	}
	d.latest.renew(d.NewTransaction(false))
	d.sequence = number
	if err := d.mark.set(number); err != nil {
		// The commit is durable nevertheless.
		d.log.Warn("the sequence mark was not written: a loss of commits could not be detected", "error", err)
	}
	return nil
}

// copy commits entries in one transaction that may be lost until the next commit. The number of the
// last commit stays, so that such a loss is not reported.
func (d *database) copy(entries []entry) error {
	err := d.write(d.sequence, entries, (*wal).advance)
	if err == nil {
		d.latest.renew(d.NewTransaction(false))
	}
	return err
}

// write commits entries in one transaction, together with number as the last commit. then is called
// with the log where Badger does not sync.
func (d *database) write(number uint64, entries []entry, then func(*wal) error) error {
	if !d.mark.inPlace(d.dir) {
		return fmt.Errorf("%w: %s was deleted or moved while in use", ErrFailed, d.dir)
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
		err = then(&d.wal)
	}
	if err != nil {
		return failed(err)
	}
	return nil
}

// bulk commits many entries in as many transactions as necessary. Only the last one, by finish,
// advances the number of the last commit. A kill before leaves the number unchanged.
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
	return b.addWhole([]entry{e}, len(e.key)+len(e.value)+entryOverhead)
}

// addWhole adds entries with a total size of bytes to one transaction. The entries must fit in one.
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

// transaction returns the maximum bytes and entries of a transaction besides the sequence record.
func (d *database) transaction() (bytes, count int) {
	// Badger adds an entry of its own and requires less than the count.
	return int(d.MaxBatchSize()) - sequenceOverhead, int(d.MaxBatchCount()) - 3
}

// entries yields the opened entries under keys with a prefix. Key and value are valid until the
// next step.
func (d *database) entries(txn *badger.Txn, prefix []byte) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		value := []byte{} // existing values are never nil
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

// storedEntries yields the entries under keys with a prefix in stored form. Key and value are valid
// until the next step.
func (d *database) storedEntries(txn *badger.Txn, prefix []byte) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		o := badger.DefaultIteratorOptions
		o.Prefix = prefix
		o.PrefetchValues = false // prefetching starts a goroutine per value; inline values need none
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

// close closes the database. Commits are durable before.
func (d *database) close() error {
	d.latest.end()
	return errors.Join(d.mark.close(), d.wal.close(), d.Close(), tighten(d.dir))
}
