package store

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	_ "tokend/daemon/system" // makes the build fail with a clear error on unsupported systems
)

// freeSpace returns how many bytes unprivileged users may still write to the file system of dir.
func freeSpace(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, os.NewSyscallError("statfs", err)
	}
	// Bavail is negative on systems where the superuser may exceed the limit. Its type depends on
	// the system.
	return uint64(max(st.Bavail, 0)) * uint64(st.Bsize), nil
}

// checkSpace returns ErrDiskFull if the file system of dir has less than reserve bytes left for
// unprivileged users.
func checkSpace(dir string, reserve uint64) error {
	free, err := freeSpace(dir)
	if err == nil && free < reserve {
		err = faultf(ErrDiskFull, "disk full: %s has %d MiB left, and tokend stops writing below %d MiB", dir, free>>20, reserve>>20)
	}
	return err
}

// diskFull reports whether err means a full disk, including errors that Badger wraps.
func diskFull(err error) bool {
	return err != nil && (is(err, syscall.ENOSPC) || is(err, syscall.EDQUOT))
}

// probe writes, syncs and deletes a small file. It detects a disk error that Badger would not
// survive. The error is one of the disk.
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

// refused reports whether err means that the disk rejects writes, whatever its content. Read errors
// do not count: an unreadable sector stays unreadable, and its content is lost.
func refused(err error) bool {
	return is(err, syscall.EROFS) || is(err, syscall.EFBIG) || diskFull(err) || is(err, syscall.EIO) && !strings.Contains(err.Error(), "read /")
}

// refusal converts err, from a disk that rejects writes or from a limit, to a line for an operator.
func refusal(dir string, err error) error {
	l := limitOf(err)
	switch {
	case diskFull(err):
		return faultf(ErrDiskFull, "the disk of %s is full: free space on it, then start tokend again; nothing was moved or lost (%s)", dir, plain(err))
	case is(err, syscall.EROFS):
		return faultf(ErrFailed, "the disk of %s is mounted read-only: mount it read-write, then start tokend again; nothing was moved or lost (%s)", dir, plain(err))
	case l != nil:
		return faultf(ErrFailed, "%s, which %s needs: %s, then start tokend again; nothing was moved or lost (%s)", l.what, dir, l.remedy, plain(err))
	}
	return faultf(ErrFailed, "the disk of %s rejects writes: repair it (see the kernel's log), then start tokend again; nothing was moved or lost (%s)", dir, plain(err))
}

// plain returns the text of err as one line. Badger's errors contain several lines.
func plain(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
