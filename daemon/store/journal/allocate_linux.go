package journal

import (
	"os"

	"golang.org/x/sys/unix"
)

// allocate reserves disk space for n bytes of f from off, without extending f.
func allocate(f *os.File, off, n int64) error {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, off, n)
}
