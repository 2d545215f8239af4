package store

import (
	"errors"
	"path/filepath"

	"tokend/daemon/store/journal"
)

// With a key, records in clear are refused: a user who can write to the state directory or to a
// backup, and does not have the key, could insert records. Config.AcceptClear takes a store that is
// in clear as a whole. One that is sealed in part was altered, and is never taken.

// errStoreClear is why a store in clear is not opened with a key.
var errStoreClear = faultf(ErrClear,
	"the store is in clear although an encryption_key is configured: to seal it, stop tokend and run: tokend rekey --seal")

// admit chooses what a database with header h is sealed with.
func (o *opening) admit(h header) error {
	if !h.sealed && o.sealers[0].seals() && errors.Is(journal.Check(o.at.journal(), nil), journal.ErrKey) {
		return headerReplaced(o.at.current(), "its grant journal")
	}
	err := h.admits(o.sealers[0])
	for i, s := range o.sealers {
		if h.admits(s) == nil {
			o.chosen = i
			return nil
		}
	}
	return err
}

// headerReplaced returns why a database is not opened whose header says that it is in clear,
// although something is sealed.
func headerReplaced(dir, what string) error {
	path := filepath.Join(dir, headerFile)
	return faultf(ErrClear, "%s marks the store as in clear, but %s is sealed: the file was replaced; delete it, and tokend recreates it", path, what)
}

// storeReplaced returns why a database in clear is not opened beside a journal that is sealed.
func storeReplaced(at place) error {
	return faultf(ErrClear, "the grant journal %s is sealed, but the store is in clear: the store was replaced; move %s away, and tokend rebuilds the store from the journal",
		at.journal(), at.current())
}

// choose chooses what a store without a header is sealed with, as its journal has it: what it is to
// be sealed with, where there is no journal.
func (o *opening) choose() error {
	for i, s := range o.sealers {
		if err := journal.Check(o.at.journal(), s.journal); err == nil {
			o.chosen = i
			return nil
		}
	}
	if journal.Check(o.at.journal(), nil) == nil {
		return errStoreClear
	}
	return nil
}

// refuseJournal returns why the journal is not that of a store that s seals.
func (p place) refuseJournal(s sealer) error {
	if s.seals() && journal.Check(p.journal(), nil) == nil {
		return faultf(ErrClear, "the grant journal %s is in clear, but the store is sealed: the journal was replaced; move it away, and tokend rebuilds it from the store", p.journal())
	}
	return faultf(ErrKey, "the grant journal %s is not sealed with the key of the store: restore the key, or move it away if it is not this store's", p.journal())
}

// refuseRecord returns why a record that does not open is the sign of a header that was replaced;
// nil if it is not.
func (d *database) refuseRecord(stored []byte) error {
	_, _, sealed, ok := split(stored)
	switch {
	case !ok || sealed == d.sealer.seals():
		return nil
	case sealed:
		return headerReplaced(d.dir, "its content")
	}
	return faultf(ErrClear, "%s marks the store as sealed, but its content is in clear: the store was replaced; move %s away and restore a backup",
		filepath.Join(d.dir, headerFile), d.dir)
}
