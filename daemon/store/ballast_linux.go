package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// fallocate extends f to n bytes with allocated disk space.
func fallocate(f *os.File, n int64) error { return unix.Fallocate(int(f.Fd()), 0, 0, n) }
