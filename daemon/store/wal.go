package store

import (
	"fmt"
	"os"
	"path/filepath"

	"tokend/daemon/store/journal"
)

// At each commit Badger syncs two files in sequence: its value log, which is empty because all
// values are inline, and the log of its memory table. On a slow disk that doubles the wait. On
// Linux, Badger therefore syncs neither (badgerSyncs), and wal syncs the log of the memory table.
// fdatasync writes changes made through a memory map, as msync does.

// wal is the log with the last commit: the newest of the *.mem files. A commit is in one log as a
// whole. When a log is full, Badger begins the next one. The zero wal has none.
type wal struct {
	dir   string
	id    int
	f     *os.File
	dirty bool // f may have commits that were not synced
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

// sync makes the last commit, and all before it, durable.
func (w *wal) sync() error {
	if err := w.advance(); err != nil {
		return err
	}
	return w.flush()
}

// advance follows Badger to its newest log after a commit. The commit need not be durable.
func (w *wal) advance() error {
	// exists comes first, because opening takes a descriptor, and there may be none.
	for exists(w.path(w.id + 1)) {
		next, err := os.Open(w.path(w.id + 1))
		if err != nil {
			return err
		}
		// Commits that were not synced come first. Otherwise a power cut could undo them, and not
		// the one in the next log.
		if w.dirty {
			err = w.flush()
		}
		if err == nil {
			err = syncDir(w.dir) // makes its name durable; Badger does that only when it opens
		}
		if err != nil {
			_ = next.Close()
			return err
		}
		_ = w.f.Close()
		w.id, w.f = w.id+1, next
	}
	w.dirty = true
	return nil
}

func (w *wal) flush() error {
	err := journal.Datasync(w.f)
	w.dirty = err != nil
	return err
}

func (w *wal) close() error {
	if w.f == nil {
		return nil
	}
	return w.f.Close()
}
