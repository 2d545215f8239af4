package store

import (
	"errors"
	"path/filepath"

	"tokend/daemon/store/journal"
)

// With a key, records in clear are rejected. Otherwise a user with write access to the state
// directory or to a backup, but without the key, could insert records. Config.AcceptClear seals a
// store that is entirely in clear. A store that is only partly sealed has been altered and is
// always rejected.

// errStoreClear is returned for a store in clear if a key is configured.
var errStoreClear = faultf(ErrClear,
	"the store is in clear although an encryption_key is configured: to seal it, stop tokend and run: tokend rekey --seal")

// admit selects the sealer of a database with header h.
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

// headerReplaced returns the error for a database whose header says in clear although what is
// sealed.
func headerReplaced(dir, what string) error {
	path := filepath.Join(dir, headerFile)
	return faultf(ErrClear, "%s marks the store as in clear, but %s is sealed: the file was replaced; delete it, and tokend recreates it", path, what)
}

// storeReplaced returns the error for a database in clear beside a sealed journal.
func storeReplaced(at stateDir) error {
	return faultf(ErrClear, "the grant journal %s is sealed, but the store is in clear: the store was replaced; move %s away, and tokend rebuilds the store from the journal",
		at.journal(), at.current())
}

// choose selects the sealer of a store without a header: the journal's. Without a journal, the
// store will use the wanted sealer.
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

// refuseJournal returns the error for a journal that does not open with s, the store's sealer.
func (p stateDir) refuseJournal(s sealer) error {
	if s.seals() && journal.Check(p.journal(), nil) == nil {
		return faultf(ErrClear, "the grant journal %s is in clear, but the store is sealed: the journal was replaced; move it away, and tokend rebuilds it from the store", p.journal())
	}
	return faultf(ErrKey, "the grant journal %s is not sealed with the key of the store: restore the key, or move it away if it is not this store's", p.journal())
}

// refuseRecord returns the error for a record that shows that the header was replaced, or nil.
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
