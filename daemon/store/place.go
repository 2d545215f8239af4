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

// place is a state directory: where its database lies, and how one takes the
// place of another. The state directory itself is never renamed: its
// parent belongs to the system.
type place string

func (p place) current() string  { return filepath.Join(string(p), "store") }
func (p place) incoming() string { return filepath.Join(string(p), "store.new") }
func (p place) outgoing() string { return filepath.Join(string(p), "store.old") }
func (p place) journal() string  { return filepath.Join(string(p), "grants.journal") }

// incomingJournal is a journal that goes with the incoming database.
func (p place) incomingJournal() string { return filepath.Join(string(p), "grants.journal.next") }

// replace puts the incoming database and journal, which are closed and durable, in the
// place of the current ones. Killed between the first two renames it is finished by
// settle, killed before the third by settleJournal.
func (p place) replace() error {
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

// settle finishes a replacement that was interrupted, or forgets one that was
// not yet complete: the incoming database is whole as soon as the outgoing one has that
// name.
func (p place) settle(log hclog.Logger) error {
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

// aside returns a free name for what is moved out of the way of path.
func aside(path string) string {
	name := path + ".broken-" + time.Now().UTC().Format("20060102T150405Z")
	for exists(name) {
		name += "x"
	}
	return name
}

// startOver moves a database that cannot be read aside and returns an empty one. Where none can
// be made, the old one stays in its place.
func (p place) startOver(s sealer, log hclog.Logger, cause error) (*database, error) {
	to := aside(p.current())
	if err := os.Rename(p.current(), to); err != nil {
		return nil, fmt.Errorf("move aside what cannot be read (%w): %w", cause, err)
	}
	// That the name is durable is seen to where the next database is made.
	db, err := openDatabase(p.current(), s, log)
	if err != nil {
		if e := errors.Join(os.RemoveAll(p.current()), os.Rename(to, p.current())); e != nil {
			log.Error("the store that cannot be read stays where it was moved", "moved_to", to, "error", e)
		}
		return nil, err
	}
	log.Error("the store could not be read: it was moved aside, and tokend starts with an empty one and the grants of the journal", "moved_to", to, "error", cause)
	return db, nil
}

// copySealed makes incoming database and journal from the open ones.
func (o *opening) copySealed() (err error) {
	if err := o.ballast.makeRoom(o.reserve + diskSize(o.db.dir)); err != nil {
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
			continue // next keeps its own
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
	// The database has all that the journal has: they have just been reconciled.
	return journal.Create(o.at.incomingJournal(), wanted.journal, o.sequence, o.db.lasting(txn, o.log))
}

// warnOfBroken names what was moved aside before the key changed: nobody seals that.
func (p place) warnOfBroken(log hclog.Logger) {
	broken, _ := filepath.Glob(filepath.Join(string(p), "*.broken-*"))
	if len(broken) > 0 {
		log.Warn("what was moved aside earlier is not sealed with this key: delete it when it is of no more use",
			"paths", strings.Join(broken, " "))
	}
}

// diskSize returns the length of all files in dir.
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
