package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/store/journal"
)

// stateDir is a state directory: the paths in it, and the replacement of one database by another.
// The state directory itself is never renamed, because its parent belongs to the system.
type stateDir string

func (p stateDir) current() string  { return filepath.Join(string(p), "store") }
func (p stateDir) incoming() string { return filepath.Join(string(p), "store.new") }
func (p stateDir) outgoing() string { return filepath.Join(string(p), "store.old") }
func (p stateDir) journal() string  { return filepath.Join(string(p), "grants.journal") }

// incomingJournal is the journal that belongs to the incoming database.
func (p stateDir) incomingJournal() string { return filepath.Join(string(p), "grants.journal.next") }

// replace replaces the current database and journal by the incoming ones, which must be closed and
// durable. After a kill between the first two renames, settle finishes the replacement. After a
// kill before the third, settleJournal does.
func (p stateDir) replace() error {
	if err := errors.Join(syncDir(p.incoming()), syncDir(string(p))); err != nil {
		return err
	}
	for _, step := range [][2]string{
		{p.current(), p.outgoing()},
		{p.incoming(), p.current()},
		{p.incomingJournal(), p.journal()},
	} {
		if err := errors.Join(os.Rename(step[0], step[1]), syncDir(string(p))); err != nil {
			return err
		}
	}
	return os.RemoveAll(p.outgoing())
}

// settle finishes an interrupted replacement, or discards an incomplete one. The incoming database
// is complete once the outgoing one has its name.
func (p stateDir) settle(log hclog.Logger) error {
	if err := p.settleRestore(log); err != nil {
		return err
	}
	if !exists(p.current()) && exists(p.outgoing()) && exists(p.incoming()) {
		if err := errors.Join(os.Rename(p.incoming(), p.current()), syncDir(string(p))); err != nil {
			return err
		}
	}
	return errors.Join(os.RemoveAll(p.incoming()), os.RemoveAll(p.outgoing()))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// aside returns an unused name to move path to.
func aside(path string) string {
	name := path + ".broken-" + time.Now().UTC().Format("20060102T150405Z")
	for exists(name) {
		name += "x"
	}
	return name
}

// startOver moves an unreadable database aside and returns an empty one. If none can be created,
// the old one keeps its name.
func (p stateDir) startOver(s sealer, log hclog.Logger, cause error) (*database, error) {
	to := aside(p.current())
	if err := os.Rename(p.current(), to); err != nil {
		return nil, fmt.Errorf("move the unreadable database aside (%w): %w", cause, err)
	}
	// openDatabase makes the rename durable.
	db, err := openDatabase(p.current(), s, log)
	if err != nil {
		if e := errors.Join(os.RemoveAll(p.current()), os.Rename(to, p.current())); e != nil {
			log.Error("the unreadable store remains under its new name", "moved_to", to, "error", e)
		}
		return nil, err
	}
	log.Error("the store is unreadable and was moved aside: starting with an empty store and the grants of the journal", "moved_to", to, "error", cause)
	return db, nil
}

// copySealed creates the incoming database and journal from the open ones.
func (o *opening) copySealed() (err error) {
	if err := o.ballast.ensureSpace(o.reserve + diskSize(o.db.dir)); err != nil {
		return err
	}
	wanted := o.sealers[0]
	next, err := openDatabase(o.at.incoming(), wanted, o.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, next.close()) }()
	txn := o.db.NewTransaction(false)
	defer txn.Discard()
	b := newBulk(next)
	for e, err := range o.db.storedEntries(txn, nil) {
		if err != nil {
			return fmt.Errorf("%q: %w", e.key, err)
		}
		if e.key[0] == sequenceKey[0] {
			continue // next has its own
		}
		key := bytes.Clone(e.key)
		value, err := o.sealer().open([]byte{}, key, e.value)
		if err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
		if err := b.add(entry{key, wanted.sealRecord(key, value, numberOf(e.value))}); err != nil {
			return err
		}
	}
	if err := b.finish(o.sequence); err != nil {
		return err
	}
	// The database and the journal were just reconciled, so the database has every record.
	return journal.Create(o.at.incomingJournal(), wanted.journal, o.sequence, o.db.lasting(txn, o.log))
}

// warnOfBroken logs what was moved aside before the key changed, because that stays sealed with the
// old key.
func (p stateDir) warnOfBroken(log hclog.Logger) {
	broken, _ := filepath.Glob(filepath.Join(string(p), "*.broken-*"))
	if len(broken) > 0 {
		log.Warn("files that were moved aside earlier are not sealed with this key: delete them when they are no longer needed",
			"paths", strings.Join(broken, " "))
	}
}

// diskSize returns the total size of the files in dir.
func diskSize(dir string) uint64 {
	var n uint64
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			n += uint64(info.Size())
		}
	}
	return n
}
