package journal

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Datasync makes durable what has been written to f, but for the times of the file.
func Datasync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
