package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
)

// place is a state directory: where its database lies, and how one takes the
// place of another. The state directory itself is never renamed: its
// parent belongs to the system.
type place string

func (p place) current() string  { return filepath.Join(string(p), "store") }
func (p place) incoming() string { return filepath.Join(string(p), "store.new") }
func (p place) outgoing() string { return filepath.Join(string(p), "store.old") }

// replace puts the incoming database, which is closed and durable, in the
// place of the current one. Killed between the two renames it is finished by settle.
func (p place) replace() error {
	if err := syncDir(p.incoming()); err != nil {
		return err
	}
	if err := os.Rename(p.current(), p.outgoing()); err != nil {
		return err
	}
	if err := os.Rename(p.incoming(), p.current()); err != nil {
		return err
	}
	if err := syncDir(string(p)); err != nil {
		return err
	}
	return os.RemoveAll(p.outgoing())
}

// settle finishes a replacement that was interrupted, or forgets one that was
// not yet complete: the incoming database is whole as soon as the outgoing one has that
// name.
func (p place) settle() error {
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

// startOver moves a database that cannot be read aside and returns an empty one.
func (p place) startOver(s sealer, log hclog.Logger, cause error) (*database, error) {
	aside := p.current() + ".broken-" + time.Now().UTC().Format("20060102T150405Z")
	for exists(aside) {
		aside += "x"
	}
	if err := errors.Join(os.Rename(p.current(), aside), syncDir(string(p))); err != nil {
		return nil, errors.Join(cause, err)
	}
	log.Error("the store cannot be read: it was moved aside, and tokend starts with an empty one", "moved_to", aside, "error", cause)
	return openDatabase(p.current(), s, log)
}

// rewrite replaces old, which is in clear, by a sealed copy.
func (p place) rewrite(old *database, s sealer, reserve uint64, log hclog.Logger) (_ *database, err error) {
	log.Warn("the store is in clear and a key is configured: sealing it")
	err = p.copySealed(old, s, reserve, log)
	if err = errors.Join(err, old.close()); err == nil {
		err = p.replace()
	}
	if err != nil {
		return nil, fmt.Errorf("seal the store: %w", err)
	}
	p.warnOfBroken(log)
	db, err := openDatabase(p.current(), s, log)
	if err == nil {
		db.missing = old.missing // the copy is whole, what it was made of was not
	}
	return db, err
}

// copySealed makes the incoming database from old.
func (p place) copySealed(old *database, s sealer, reserve uint64, log hclog.Logger) (err error) {
	if err := checkSpace(string(p), reserve+diskSize(old.dir)); err != nil {
		return err
	}
	next, err := openDatabase(p.incoming(), s, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, next.close()) }()
	var group []entry
	var bytes int
	for e, err := range old.entries(nil) {
		if err != nil {
			return fmt.Errorf("%q: %w", e.key, err)
		}
		if e.key[0] == sequenceKey[0] {
			continue // next keeps its own
		}
		key := append([]byte(nil), e.key...)
		group = append(group, entry{key, s.seal(key, e.value)})
		if bytes += len(key) + len(e.value); bytes > MaxValue || len(group) == 256 {
			if err := next.commit(group); err != nil {
				return err
			}
			group, bytes = group[:0], 0
		}
	}
	return next.commit(group)
}

// warnOfBroken names databases that were moved aside in clear: nobody seals those.
func (p place) warnOfBroken(log hclog.Logger) {
	broken, _ := filepath.Glob(p.current() + ".broken-*")
	if len(broken) > 0 {
		log.Warn("databases that were moved aside earlier are still in clear: delete them when they are of no more use",
			"dirs", strings.Join(broken, " "))
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
