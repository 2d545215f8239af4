package store

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	_ "tokend/daemon/system" // which says why this cannot be built on other systems
)

// freeSpace returns how many bytes unprivileged users may still write to the file system
// of dir.
func freeSpace(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, os.NewSyscallError("statfs", err)
	}
	// Below zero on systems where the superuser may go beyond: the types differ with the system.
	return uint64(max(st.Bavail, 0)) * uint64(st.Bsize), nil
}

// checkSpace returns ErrDiskFull if the file system of dir has less than reserve
// bytes left for unprivileged users.
func checkSpace(dir string, reserve uint64) error {
	free, err := freeSpace(dir)
	if err == nil && free < reserve {
		err = faultf(ErrDiskFull, "disk full: %s has %d MiB left, tokend writes nothing below %d MiB", dir, free>>20, reserve>>20)
	}
	return err
}

// diskFull reports whether err is the disk's word for it, also for what Badger has wrapped.
func diskFull(err error) bool {
	return err != nil && (is(err, syscall.ENOSPC) || is(err, syscall.EDQUOT))
}

// probe writes a small file, makes it durable and removes it again: what Badger would not
// survive is found out by something that does. The error is a refusal of the disk.
func probe(dir string) error {
	path := filepath.Join(dir, "probe")
	err := writeSynced(path, make([]byte, 4096))
	if gone := os.Remove(path); err == nil {
		err = gone
	}
	if err != nil {
		return refusal(dir, err)
	}
	return nil
}

// refused reports whether err says that the disk does not take what is written to it, whatever lies
// there already. An error of reading is none: a sector that cannot be read stays so, and what was
// in it is lost.
func refused(err error) bool {
	return is(err, syscall.EROFS) || is(err, syscall.EFBIG) || diskFull(err) || is(err, syscall.EIO) && !strings.Contains(err.Error(), "read /")
}

// refusal returns err, which has come from a disk that refuses or from a limit, as a line for a
// person.
func refusal(dir string, err error) error {
	l := limitOf(err)
	switch {
	case diskFull(err):
		return faultf(ErrDiskFull, "the disk of %s is full: make room on it, then start tokend again; nothing was moved or lost (%s)", dir, plain(err))
	case is(err, syscall.EROFS):
		return faultf(ErrFailed, "the disk of %s is mounted read-only: mount it read-write, then start tokend again; nothing was moved or lost (%s)", dir, plain(err))
	case l != nil:
		return faultf(ErrFailed, "%s, which %s needs: %s, then start tokend again; nothing was moved or lost (%s)", l.what, dir, l.remedy, plain(err))
	}
	return faultf(ErrFailed, "the disk of %s refuses what is written: mend it, the kernel's log says more, then start tokend again; nothing was moved or lost (%s)", dir, plain(err))
}

// plain returns the text of err as one line: Badger's errors have several, and empty ones.
func plain(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
