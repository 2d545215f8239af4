package journal

import (
	"os"

	"golang.org/x/sys/unix"
)

// allocate reserves room on the disk for n bytes of f from off, without making f longer.
func allocate(f *os.File, off, n int64) error {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, off, n)
}
