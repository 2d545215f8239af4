package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// fallocate gives f a length of n bytes that have their room on the disk.
func fallocate(f *os.File, n int64) error { return unix.Fallocate(int(f.Fd()), 0, 0, n) }
