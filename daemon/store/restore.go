package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/record"
	"tokend/daemon/store/journal"
)

// ErrNotEmpty is returned by Restore if the state directory is not empty.
var ErrNotEmpty = errors.New("store: state directory is not empty")

// restoring is where a backup is unpacked: a state directory within the state directory. Its
// journal is moved out first, then its database. After a kill, either nothing counts, or
// settleRestore can finish.
func (p stateDir) restoring() stateDir { return stateDir(filepath.Join(string(p), "restore.tmp")) }

// Restore creates the store of cfg from a backup. cfg.Dir must be missing or empty (ErrNotEmpty).
// After Restore it contains all of the backup, or nothing. A sealed backup needs its key as cfg.Key
// (ErrKey). If there is a key, a backup in clear is rejected (ErrClear), or sealed with
// cfg.AcceptClear. Tokens and grants in a backup may have been superseded since. Tokens that WeChat
// rejects are fetched again. A customer whose grant was superseded must authorize again.
func Restore(cfg Config, r io.Reader) (err error) {
	wanted, err := newSealer(cfg.Key)
	if err != nil {
		return err
	}
	in, err := newBackupReader(r, wanted, cfg.AcceptClear)
	if err != nil {
		return err
	}
	if err := prepareDir(cfg.Dir); err != nil {
		return err
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	at := stateDir(cfg.Dir)
	if err := at.settleRestore(cfg.logger()); err != nil {
		return err
	}
	if entries, err := os.ReadDir(cfg.Dir); err != nil {
		return err
	} else if len(entries) > 0 {
		return faultf(ErrNotEmpty, "%s is not empty (it contains %s): a backup can only be restored into an empty directory", cfg.Dir, entries[0].Name())
	}
	if err := checkSpace(cfg.Dir, cfg.free()); err != nil {
		return err
	}
	if err := at.restoring().unpack(in, wanted, cfg.logger()); err != nil {
		return errors.Join(fmt.Errorf("restore: %w", err), os.RemoveAll(string(at.restoring())))
	}
	return at.moveIn()
}

// unpack creates a state directory from a backup.
func (p stateDir) unpack(in *backupReader, s sealer, log hclog.Logger) (err error) {
	if err := os.Mkdir(string(p), 0o700); err != nil {
		return err
	}
	db, err := openDatabase(p.current(), s, log)
	if err != nil {
		return err
	}
	defer func() {
		if db != nil {
			err = errors.Join(err, db.close())
		}
	}()
	b := newBulk(db)
	for {
		key, value, number, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = b.add(entry{key, s.sealRecord(key, value, number)})
		}
		if err != nil {
			return err
		}
	}
	restored := record.Key{Name: record.Restored, Bytes: []byte{1}}.Encode()
	key := recordKey(restored.Table, restored.Key)
	if err := errors.Join(b.add(entry{key, s.sealRecord(key, restored.Value, 0)}), b.finish(in.last)); err != nil {
		return err
	}
	txn := db.NewTransaction(false)
	err = journal.Create(p.journal(), s.journal, in.last, db.lasting(txn, log))
	txn.Discard()
	if err != nil {
		return err
	}
	closing := db
	db = nil
	return errors.Join(closing.close(), syncDir(p.current()))
}

// moveIn moves the journal and the database of the unpacked state directory to their final paths.
func (p stateDir) moveIn() error {
	from := p.restoring()
	if err := errors.Join(os.Rename(from.journal(), p.journal()), syncDir(string(p))); err != nil {
		return err
	}
	if err := errors.Join(os.Rename(from.current(), p.current()), syncDir(string(p))); err != nil {
		return err
	}
	return os.RemoveAll(string(from))
}

// settleRestore finishes an interrupted Restore, or discards an incomplete one. The backup is
// complete on disk once its journal has been moved.
func (p stateDir) settleRestore(log hclog.Logger) error {
	from := p.restoring()
	if !exists(string(from)) {
		return nil
	}
	if exists(from.current()) && exists(p.journal()) && !exists(p.current()) && !exists(from.journal()) {
		log.Info("finishing the interrupted restore of a backup")
		if err := errors.Join(os.Rename(from.current(), p.current()), syncDir(string(p))); err != nil {
			return err
		}
	} else if !exists(p.current()) {
		log.Error("the restore of a backup was incomplete and has been discarded: restore the backup again")
	}
	return os.RemoveAll(string(from))
}
