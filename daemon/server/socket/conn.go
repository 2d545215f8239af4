package socket

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Descriptor returns the descriptor of nc, -1 for none.
func Descriptor(nc net.Conn) (fd int) {
	fd = -1
	control(nc, func(d uintptr) { fd = int(d) })
	return fd
}

// Quiet reports whether everything that the peer of nc has sent has been read, as far as can be
// determined. It is true of a peer that has closed: such a peer waits for nothing.
func Quiet(nc net.Conn) bool {
	quiet := true
	control(nc, func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		quiet = err == nil && (n == 0 || fds[0].Revents&unix.POLLHUP != 0)
	})
	return quiet
}

// control calls f with the descriptor of nc, if nc has one.
func control(nc net.Conn, f func(fd uintptr)) {
	switch nc := nc.(type) {
	case interface{ Descriptor() int }:
		f(uintptr(nc.Descriptor()))
	case syscall.Conn:
		if raw, err := nc.SyscallConn(); err == nil {
			_ = raw.Control(f)
		}
	}
}
