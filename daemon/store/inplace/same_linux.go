package inplace

import (
	"errors"
	"io/fs"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// same is Is without querying the times. It fails if a system call fails, as in older containers,
// which block statx.
func same(f *os.File, path string) (bool, error) {
	used, err := identify(int(f.Fd()), "", unix.AT_EMPTY_PATH)
	runtime.KeepAlive(f)
	if err != nil {
		return false, err
	}
	named, err := identify(unix.AT_FDCWD, path, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return named == used, err
}

// identity identifies a file among all existing ones.
type identity struct {
	major, minor uint32
	inode        uint64
}

func identify(fd int, path string, flags int) (identity, error) {
	var s unix.Statx_t
	err := unix.Statx(fd, path, flags, unix.STATX_INO, &s)
	if err == nil && s.Mask&unix.STATX_INO == 0 {
		err = errors.ErrUnsupported
	}
	return identity{s.Dev_major, s.Dev_minor, s.Ino}, err
}
