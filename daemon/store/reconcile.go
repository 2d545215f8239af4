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

// lastingTables are the tables whose records the journal also has.
var lastingTables = [...]record.Table{record.Grants, record.Codes, record.Offers}

// openJournal opens the journal that v has read. It reconciles the irreplaceable records of the
// journal and the database: for each key the newest record of either wins.
func (o *opening) openJournal(v *survey) error {
	if v.chosen != o.chosen {
		v = o.survey() // the database turned out to have another sealer
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
	r := reconciler{db: o.db, journal: j, index: v.index, log: o.log, yielder: yielder{closing: o.closing}}
	behind, numbered, err := r.compare()
	if err != nil {
		return err
	}
	if err := r.replay(o.sequence); err != nil {
		return fmt.Errorf("replay the grant journal: %w", err)
	}
	if rep.Made && numbered {
		o.log.Error("the grant journal was missing: it has been recreated from the database", "path", o.at.journal())
	} else if behind > 0 && !rep.Made {
		o.log.Error("the grant journal lacked records of the database: they have been added", "records", behind)
	}
	if behind == 0 && j.Failed() == nil {
		return nil
	}
	return o.db.compactWith(j, keepLive(o.sequence), o.log)
}

// saveDamaged logs damage to the journal and keeps a copy of the file.
func (o *opening) saveDamaged(rep journal.Report) error {
	if rep.Torn > 0 && !rep.Damaged() {
		o.log.Warn("the end of the grant journal is unreadable: an unacknowledged entry, or damage; comparing with the database", "bytes", rep.Torn)
	}
	if !rep.Damaged() && o.journal.Failed() == nil {
		return nil
	}
	to := aside(o.at.journal())
	if err := errors.Join(os.Link(o.at.journal(), to), syncDir(string(o.at))); err != nil {
		return fmt.Errorf("copy the damaged grant journal: %w", err)
	}
	o.log.Error("the grant journal is damaged: it was copied, and is rewritten from its readable entries and the database",
		"copied_to", to, "entries", rep.Entries, "lost", rep.Lost, "foreign", rep.Foreign, "bytes", rep.Skipped+rep.Torn, "error", rep.Err)
	return nil
}

// reconciler compares a database with a journal.
type reconciler struct {
	db      *database
	journal *journal.Journal
	index   *journal.Index // of the journal; compare removes what the database already has
	log     hclog.Logger
	yielder
}

// compare reads the irreplaceable records of the database. It returns how many of them the journal
// lacks or has in an older version, and whether the database has numbered records, so had a journal
// before.
func (r *reconciler) compare() (behind int, numbered bool, err error) {
	txn := r.db.NewTransaction(false)
	defer txn.Discard()
	var scratch []byte
	for _, table := range lastingTables {
		for e, err := range r.db.storedEntries(txn, recordKey(table, "")) {
			if err := r.yield(); err != nil {
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
				r.log.Error("an irreplaceable record is unreadable, and the journal does not have it", "table", table, "error", err)
			case err != nil:
				r.log.Error("an irreplaceable record is unreadable: the journal has it", "table", table, "error", err)
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

// replay copies to the database what only the journal has. The database then has everything up to
// commit last. Replaceable records are replayed only if the database certainly has nothing newer.
// Otherwise a superseded token would return.
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
				continue // already deleted
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
		r.log.Warn("the database lacked records of the grant journal: they have been restored", "records", n, "lost", lost)
	} else {
		r.log.Info("the database has taken records from the grant journal", "records", n)
	}
	return b.finish(last)
}

// lacking reports whether replay may have work to do. replay reads the whole journal again.
func (r *reconciler) lacking(intact bool) bool {
	for key, ref := range r.index.All() {
		if ref.Deleted {
			if _, err := r.db.stored(key); errors.Is(err, badger.ErrKeyNotFound) {
				continue // already deleted
			}
		}
		if intact && ref.Commit > r.db.sequence || tableOf(key).Irreplaceable() {
			return true
		}
	}
	return false
}

// lasting yields the irreplaceable records of a database as journal entries. It logs unreadable
// records and leaves them out.
func (d *database) lasting(txn *badger.Txn, log hclog.Logger) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for _, table := range lastingTables {
			for e, err := range d.storedEntries(txn, recordKey(table, "")) {
				var value []byte
				if err == nil {
					value, err = d.sealer.open([]byte{}, e.key, e.value)
				}
				if err != nil {
					log.Error("an irreplaceable record is unreadable", "table", table, "error", err)
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

// compactWith rewrites j to the records that keep selects and the newer ones of d.
func (d *database) compactWith(j *journal.Journal, keep func(uint64, journal.Record) bool, log hclog.Logger) error {
	txn := d.NewTransaction(false)
	defer txn.Discard()
	return j.Compact(keep, d.lasting(txn, log))
}

// keepLive returns the filter of a compaction. It keeps everything after the commit applied, which
// the database does not have yet. Up to applied it keeps the irreplaceable records that were not
// deleted.
func keepLive(applied uint64) func(uint64, journal.Record) bool {
	return func(commit uint64, r journal.Record) bool {
		return commit > applied || r.Value != nil && tableOf(r.Key).Irreplaceable()
	}
}
