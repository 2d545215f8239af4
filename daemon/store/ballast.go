package store

import (
	"errors"
	"os"
	"path/filepath"
)

// Badger writes through memory maps, and where the disk is full that kills the process. So
// commits stop while there still is room for what Badger does in the background; and for
// opening and closing it, when a disk has filled up altogether, there is a file that can
// be given up.

const (
	// ballastSize is the length of that file: what a memory table is flushed to,
	// twice, and the first pages of a new log.
	ballastSize = 8 << 20

	// openRoom is what must be free for Badger to be opened or closed, which is the same
	// but for the table of what it had in memory.
	openRoom = 6 << 20

	// ballastMargin is what must stay free beside the ballast when it is made on a
	// disk that is short anyway.
	ballastMargin = 1 << 20
)

// allocate gives f a length of n bytes that have their room on the disk, without writing
// them where the system can do that.
func allocate(f *os.File, n int64) error {
	if err := fallocate(f, n); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	block := make([]byte, 1<<20)
	for off := int64(0); off < n; off += int64(len(block)) {
		if _, err := f.WriteAt(block[:min(n-off, int64(len(block)))], off); err != nil {
			return err
		}
	}
	return nil
}

// ballast is the path of the file.
type ballast string

func newBallast(dir string) ballast { return ballast(filepath.Join(dir, "ballast")) }

// release gives the room back and reports whether there was any.
func (b ballast) release() bool { return os.Remove(string(b)) == nil }

// there reports whether there is a ballast.
func (b ballast) there() bool { return exists(string(b)) }

// restore makes the ballast if there is room for it: beside the reserve, or where that cannot
// be had anyway. In between it would be what makes the disk full.
func (b ballast) restore(reserve uint64) error {
	if b.there() {
		return nil
	}
	free, err := freeSpace(filepath.Dir(string(b)))
	if err != nil {
		return err
	}
	if free < ballastSize+ballastMargin || free >= reserve && free < reserve+ballastSize {
		return faultf(ErrDiskFull, "no room for the ballast")
	}
	f, err := os.OpenFile(string(b), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(allocate(f, ballastSize), f.Close()); err != nil {
		b.release() // half of it is of no use
		return err
	}
	return nil
}

// makeRoom returns ErrDiskFull if less than need bytes are free even after
// the ballast was given up.
func (b ballast) makeRoom(need uint64) error {
	dir := filepath.Dir(string(b))
	err := checkSpace(dir, need)
	if errors.Is(err, ErrDiskFull) && b.release() {
		err = checkSpace(dir, need)
	}
	return err
}

// checkRoom returns ErrDiskFull if there is less free space than a commit needs. The
// ballast is not spent for that: a disk that fills up takes it within a second, and then the
// restart lacks it.
func (s *Store) checkRoom() error { return checkSpace(s.dir, s.reserve.Load()) }
