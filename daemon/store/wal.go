package store

import (
	"fmt"
	"os"
	"path/filepath"

	"tokend/daemon/store/journal"
)

// Badger syncs two files at each commit, one after the other: its value log, in which nothing is,
// since all values are inline, and the log of its memory table. On a slow disk that is twice the
// wait. On Linux Badger therefore syncs neither (badgerSyncs), and wal syncs the second: fdatasync
// writes what was changed through a memory map as msync does.

// wal is the log that the last commit is in: the newest of the files *.mem. A commit is in one log
// as a whole; Badger begins the next one when that is full. The zero wal has none.
type wal struct {
	dir string
	id  int
	f   *os.File
}

// openWAL opens the newest log in dir.
func openWAL(dir string) (wal, error) {
	w := wal{dir: dir}
	logs, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil {
		return w, err
	}
	for _, path := range logs {
		id := 0
		if _, err := fmt.Sscanf(filepath.Base(path), "%d.mem", &id); err == nil {
			w.id = max(w.id, id)
		}
	}
	w.f, err = os.Open(w.path(w.id)) // Badger has made its name durable
	return w, err
}

func (w *wal) path(id int) string { return filepath.Join(w.dir, fmt.Sprintf("%05d.mem", id)) }

// sync makes the last commit durable.
func (w *wal) sync() error {
	for exists(w.path(w.id + 1)) { // asked first: to try to open it takes a descriptor, and there may be none
		next, err := os.Open(w.path(w.id + 1))
		if err != nil {
			return err
		}
		if err := syncDir(w.dir); err != nil { // its name; Badger does so at its start only
			_ = next.Close()
			return err
		}
		_ = w.f.Close() // of a log that was synced, as far as there is anything in it
		w.id, w.f = w.id+1, next
	}
	return journal.Datasync(w.f)
}

func (w *wal) close() error {
	if w.f == nil {
		return nil
	}
	return w.f.Close()
}
