package server

import (
	"os"

	"golang.org/x/sys/unix"
)

// duplicate returns another descriptor of the listening socket, which is the caller's to close.
func (l *listener) duplicate() (fd int, err error) {
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

// letGo closes l's own descriptor, since Go's poller would be woken by every connection for as long
// as it knows of it. Close still removes the socket file. It is called before anybody else can call
// Close.
func (l *listener) letGo() {
	l.SetUnlinkOnClose(false)
	l.taken = true
	_ = l.UnixListener.Close()
}
