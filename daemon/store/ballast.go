package store

import (
	"errors"
	"os"
	"path/filepath"

	"tokend/daemon/store/journal"
)

// Badger writes through memory maps, and a full disk then kills the process with SIGBUS. Commits
// therefore stop while there is still space for Badger's background work. If the disk fills up
// completely, the ballast file is deleted so that Badger can be opened and closed.

const (
	// ballastSize is the size of the file: twice the flush of a memory table, plus the first pages
	// of a new log.
	ballastSize = 8 << 20

	// openSpace is the free space needed to open or close Badger: ballastSize without one flush.
	openSpace = 6 << 20

	// ballastMargin is the free space that must remain after the ballast is created on a disk that
	// is already short of space: the flush of two memory tables.
	ballastMargin = 4 << 20

	// ballastPiece is the amount given up at a time for the journal, enough for some hundred
	// grants. It is also the minimum by which the ballast grows again.
	ballastPiece = 256 << 10
)

// allocate extends f from from to to bytes with allocated disk space. It writes zeros only if the
// system cannot allocate without writing.
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

// ballast is the path of the ballast file.
type ballast string

func newBallast(dir string) ballast { return ballast(filepath.Join(dir, "ballast")) }

// release deletes the ballast and reports whether there was one.
func (b ballast) release() bool { return os.Remove(string(b)) == nil }

// size is the number of bytes that can be given up.
func (b ballast) size() int64 {
	info, err := os.Stat(string(b))
	if err != nil {
		return 0
	}
	return info.Size()
}

// whole reports whether the ballast has its full size.
func (b ballast) whole() bool { return b.size() == ballastSize }

// sparse reports whether the ballast uses less disk space than its size.
func (b ballast) sparse() bool {
	info, err := os.Stat(string(b))
	return err == nil && journal.Sparse(info)
}

// spend gives up a piece if at least floor bytes remain, and reports whether it did.
func (b ballast) spend(floor int64) bool {
	size := b.size() - ballastPiece
	return size >= floor && os.Truncate(string(b), size) == nil
}

// restore creates the ballast, or extends it to its full size, if there is enough free space. The
// space must exceed the reserve. If even the reserve is not free, restore takes what is left beyond
// a margin. In between it takes nothing, because the ballast itself would then fill the disk. It
// returns ErrDiskFull unless the ballast has its full size.
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
	full := faultf(ErrDiskFull, "no space for the ballast")
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

// ensureSpace ensures that need bytes are free, by giving up the ballast if necessary, or returns
// ErrDiskFull.
func (b ballast) ensureSpace(need uint64) error {
	dir := filepath.Dir(string(b))
	err := checkSpace(dir, need)
	if errors.Is(err, ErrDiskFull) && b.release() {
		err = checkSpace(dir, need)
	}
	return err
}

// checkReserve returns ErrDiskFull if there is less free space than a commit needs. It does not
// give up the ballast: a disk that is filling up would consume it within a second, and the next
// start would lack it.
func (s *Store) checkReserve() error { return checkSpace(s.dir, s.reserve.Load()) }
