package journal

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Datasync makes the content written to f durable, without the file's times.
func Datasync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
