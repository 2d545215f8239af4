package socket

import (
	"os"

	"golang.org/x/sys/unix"
)

// Duplicate returns another descriptor of the listening socket. The caller closes it.
func (l *Listener) Duplicate() (fd int, err error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return -1, err
	}
	var dupErr error
	if err := raw.Control(func(old uintptr) { fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return -1, err
	}
	return fd, os.NewSyscallError("fcntl", dupErr)
}

// Release closes l's own descriptor, for a caller that has one of [Listener.Duplicate]: while l has
// it, each connection wakes Go's poller too. Close still removes the socket file. Release must not
// be called at the same time as Close.
func (l *Listener) Release() {
	l.SetUnlinkOnClose(false)
	l.released = true
	_ = l.UnixListener.Close()
}
