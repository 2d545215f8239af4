package store

import (
	"context"
	"errors"
	"io"
	"os"
)

// snapshotStep is how many bytes of a snapshot are written between two checks of the free space.
const snapshotStep = 1 << 20

// Snapshot writes a backup, as Backup does, to an unnamed file in the state directory, which
// disappears when it is closed. The caller reads size bytes from the current offset and closes the
// file. ctx cancels the writing. Snapshot leaves the space that commits need. If there is not
// enough beyond that, the error is ErrDiskFull.
func (s *Store) Snapshot(ctx context.Context) (f *os.File, size int64, err error) {
	f, err = os.CreateTemp(s.dir, "backup-*.tmp")
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
			f = nil
		}
	}()
	// A kill before this leaves a harmless empty file.
	if err := os.Remove(f.Name()); err != nil {
		return f, 0, err
	}
	w := &snapshotWriter{ctx: ctx, store: s, file: f}
	if err := s.Backup(w); err != nil {
		return f, 0, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return f, w.size, err
}

// snapshotWriter writes to file until ctx ends or the disk runs out of space.
type snapshotWriter struct {
	ctx     context.Context
	store   *Store
	file    *os.File
	size    int64
	checked int64 // the size up to which free space has been checked
}

func (w *snapshotWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	if end := w.size + int64(len(p)); end > w.checked {
		space := int64(len(p)) + snapshotStep
		if err := checkSpace(w.store.dir, w.store.reserve.Load()+uint64(space)); err != nil {
			return 0, err
		}
		w.checked = w.size + space
	}
	n, err := w.file.Write(p)
	w.size += int64(n)
	if diskFull(err) {
		err = ErrDiskFull
	}
	return n, err
}
