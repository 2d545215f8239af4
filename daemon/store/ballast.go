package store

import (
	"errors"
	"os"
	"path/filepath"

	"tokend/daemon/store/journal"
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
	// disk that is short anyway: two memory tables that are being written to theirs.
	ballastMargin = 4 << 20

	// ballastPiece is how much of it is given up at a time for the journal, and the least by
	// which it grows again: some hundred grants.
	ballastPiece = 256 << 10
)

// allocate gives f, which has from bytes, a length of to bytes that have their room on the disk,
// without writing them where the system can do that.
func allocate(f *os.File, from, to int64) error {
	if err := fallocate(f, to); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	block := make([]byte, ballastPiece)
	for off := from; off < to; off += int64(len(block)) {
		if _, err := f.WriteAt(block[:min(to-off, int64(len(block)))], off); err != nil {
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

// size is how many bytes can be given up.
func (b ballast) size() int64 {
	info, err := os.Stat(string(b))
	if err != nil {
		return 0
	}
	return info.Size()
}

// whole reports whether nothing of it is missing.
func (b ballast) whole() bool { return b.size() == ballastSize }

// sparse reports whether giving it up gives less than its size.
func (b ballast) sparse() bool {
	info, err := os.Stat(string(b))
	return err == nil && journal.Sparse(info)
}

// spend gives up a piece if at least floor bytes are left then, and reports whether it has.
func (b ballast) spend(floor int64) bool {
	size := b.size() - ballastPiece
	return size >= floor && os.Truncate(string(b), size) == nil
}

// restore makes the ballast, or what is missing of it, if there is room for that: beside the
// reserve, or where that cannot be had anyway, as much as there is. In between it would be what
// makes the disk full. It returns ErrDiskFull unless the ballast is whole.
func (b ballast) restore(reserve uint64) error {
	size := b.size()
	missing := uint64(ballastSize - size)
	if missing == 0 {
		return nil
	}
	free, err := freeSpace(filepath.Dir(string(b)))
	if err != nil {
		return err
	}
	full := faultf(ErrDiskFull, "no room for the ballast")
	switch {
	case free >= reserve+missing:
	case free >= reserve:
		return full
	default:
		missing = min(missing, free-min(free, ballastMargin))
	}
	if missing < ballastPiece && size+int64(missing) < ballastSize {
		return full
	}
	f, err := os.OpenFile(string(b), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(allocate(f, size, size+int64(missing)), f.Close()); err != nil {
		return errors.Join(err, os.Truncate(string(b), size))
	}
	if !b.whole() {
		return full
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
