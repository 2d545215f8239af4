package store

import (
	"context"
	"errors"
	"io"
	"os"
)

// snapshotStep is how many bytes of a snapshot are written between two looks at the disk.
const snapshotStep = 1 << 20

// Snapshot makes a backup, as Backup does, in a file of the state directory that has no name and is
// gone when it is closed. The caller closes it, and reads its size bytes from where it stands. ctx
// ends the making. The room that commits need is left to them: where there is not enough besides,
// the error is ErrDiskFull.
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
	// A kill before this leaves an empty file, which harms nobody.
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

// snapshotWriter writes to file as long as ctx lasts and the disk has room.
type snapshotWriter struct {
	ctx     context.Context
	store   *Store
	file    *os.File
	size    int64
	checked int64 // the size up to which there is room
}

func (w *snapshotWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	if end := w.size + int64(len(p)); end > w.checked {
		room := int64(len(p)) + snapshotStep
		if err := checkSpace(w.store.dir, w.store.reserve.Load()+uint64(room)); err != nil {
			return 0, err
		}
		w.checked = w.size + room
	}
	n, err := w.file.Write(p)
	w.size += int64(n)
	if diskFull(err) {
		err = ErrDiskFull
	}
	return n, err
}
