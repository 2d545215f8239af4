package store

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"os"

	"github.com/dgraph-io/badger/v4"
	"github.com/hashicorp/go-hclog"

	"tokend/daemon/record"
	"tokend/daemon/store/journal"
)

// lastingTables are those whose records the journal keeps too.
var lastingTables = [...]record.Table{record.Grants, record.Codes}

// openJournal opens the journal that v is of and brings it and the database to the same
// irreplaceable records: of each key the newest that either has.
func (o *opening) openJournal(v *survey) error {
	if v.chosen != o.chosen {
		v = o.survey() // the database has shown that it is kept otherwise than had to be assumed
		defer v.end()
	}
	j, rep, err := v.open()
	if err != nil {
		return fmt.Errorf("open the grant journal: %w", err)
	}
	o.journal = j
	o.sequence = max(o.db.sequence, rep.Last)
	if err := o.saveDamaged(rep); err != nil {
		return err
	}
	r := reconciler{db: o.db, journal: j, index: v.index, log: o.log, breather: breather{closing: o.closing}}
	behind, numbered, err := r.compare()
	if err != nil {
		return err
	}
	if err := r.replay(o.sequence); err != nil {
		return fmt.Errorf("replay the grant journal: %w", err)
	}
	if rep.Made && numbered {
		o.log.Error("the grant journal was not there: it is made again from the database", "path", o.at.journal())
	} else if behind > 0 && !rep.Made {
		o.log.Error("the grant journal lacked records that the database has: they are added", "records", behind)
	}
	if behind == 0 && j.Failed() == nil {
		return nil
	}
	return o.db.compactWith(j, keepLive(o.sequence), o.log)
}

// saveDamaged says what is wrong with the journal and puts a copy of it aside.
func (o *opening) saveDamaged(rep journal.Report) error {
	if rep.Torn > 0 && !rep.Damaged() {
		o.log.Warn("the end of the grant journal could not be read: an entry that was never acknowledged, or damage; the database is compared", "bytes", rep.Torn)
	}
	if !rep.Damaged() && o.journal.Failed() == nil {
		return nil
	}
	to := aside(o.at.journal())
	if err := errors.Join(os.Link(o.at.journal(), to), syncDir(string(o.at))); err != nil {
		return fmt.Errorf("put the damaged grant journal aside: %w", err)
	}
	o.log.Error("the grant journal is damaged: a copy was put aside, and it is written anew from what could be read and from the database",
		"copied_to", to, "entries", rep.Entries, "lost", rep.Lost, "foreign", rep.Foreign, "bytes", rep.Skipped+rep.Torn, "error", rep.Err)
	return nil
}

// reconciler compares a database with a journal.
type reconciler struct {
	db      *database
	journal *journal.Journal
	index   *journal.Index // what the database is found to have is taken out of it
	log     hclog.Logger
	breather
}

// compare goes through the irreplaceable records of the database. It returns of how many the
// journal has an older one or none, and whether the database knows a journal at all.
func (r *reconciler) compare() (behind int, numbered bool, err error) {
	txn := r.db.NewTransaction(false)
	defer txn.Discard()
	var scratch []byte
	for _, table := range lastingTables {
		for e, err := range r.db.storedEntries(txn, recordKey(table, "")) {
			if err := r.breathe(); err != nil {
				return 0, false, err
			}
			number := numberOf(e.value)
			numbered = numbered || number > 0
			if err == nil {
				scratch, err = r.db.sealer.open(scratch[:0], e.key, e.value)
			}
			ref, ok := r.index.Get(e.key)
			switch {
			case err != nil && (!ok || ref.Deleted):
				r.log.Error("an irreplaceable record cannot be read, and the journal does not have it", "table", table, "error", err)
			case err != nil:
				r.log.Error("an irreplaceable record cannot be read: the journal has it", "table", table, "error", err)
			case !ok || ref.Commit < number:
				behind++
				r.index.Remove(e.key)
			case ref.Commit == number:
				r.index.Remove(e.key)
			}
		}
	}
	return behind, numbered, nil
}

// replay writes to the database what the journal has and the database lacks; it then has all
// up to the commit last. What can be had again is replayed too where it is certain
// that nothing newer has been: else a superseded token would come back.
func (r *reconciler) replay(last uint64) error {
	had := r.db.sequence
	intact := !r.db.made && r.db.missing == 0
	if !r.lacking(intact) {
		return nil
	}
	b := newBulk(r.db)
	n, lost := 0, 0
	err := r.journal.Read(func(e journal.Entry) error {
		for i, rec := range e.Records {
			lasting := tableOf(rec.Key).Irreplaceable()
			if !r.index.Newest(e, i) || !lasting && (!intact || e.Commit <= had) {
				continue
			}
			next := entry{key: bytes.Clone(rec.Key)}
			if rec.Value != nil {
				next.value = r.db.sealer.sealRecord(next.key, rec.Value, e.Commit)
			} else if _, err := r.db.stored(next.key); errors.Is(err, badger.ErrKeyNotFound) {
				continue // gone already
			}
			n++
			if !intact || e.Commit <= had {
				lost++
			}
			if err := b.add(next); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || n == 0 {
		return err
	}
	if lost > 0 {
		r.log.Warn("the database lacked records that the grant journal has: they are back", "records", n, "lost", lost)
	} else {
		r.log.Info("the database has taken what the last run had written to the grant journal only", "records", n)
	}
	return b.finish(last)
}

// lacking reports whether there may be something for replay to do, which reads the whole journal
// once more.
func (r *reconciler) lacking(intact bool) bool {
	for key, ref := range r.index.All() {
		if ref.Deleted {
			if _, err := r.db.stored(key); errors.Is(err, badger.ErrKeyNotFound) {
				continue // gone already
			}
		}
		if intact && ref.Commit > r.db.sequence || tableOf(key).Irreplaceable() {
			return true
		}
	}
	return false
}

// lasting yields the irreplaceable records of a database as journal entries. One that
// cannot be read is left out, and said.
func (d *database) lasting(txn *badger.Txn, log hclog.Logger) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for _, table := range lastingTables {
			for e, err := range d.storedEntries(txn, recordKey(table, "")) {
				var value []byte
				if err == nil {
					value, err = d.sealer.open([]byte{}, e.key, e.value)
				}
				if err != nil {
					log.Error("an irreplaceable record cannot be read", "table", table, "error", err)
					continue
				}
				rec := journal.Record{Key: e.key, Value: value}
				if !yield(journal.Entry{Commit: numberOf(e.value), Records: []journal.Record{rec}}, nil) {
					return
				}
			}
		}
	}
}

// compactWith rewrites j to what keep wants of it and to what of d is newer.
func (d *database) compactWith(j *journal.Journal, keep func(uint64, journal.Record) bool, log hclog.Logger) error {
	txn := d.NewTransaction(false)
	defer txn.Discard()
	return j.Compact(keep, d.lasting(txn, log))
}

// keepLive returns what a compaction keeps: all that the database has not yet, and of what it
// has, up to the commit applied, the irreplaceable records that were not deleted.
func keepLive(applied uint64) func(uint64, journal.Record) bool {
	return func(commit uint64, r journal.Record) bool {
		return commit > applied || r.Value != nil && tableOf(r.Key).Irreplaceable()
	}
}
