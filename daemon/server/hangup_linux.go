package server

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// awaitHangup waits until the peer of sc has closed its socket, and not just
// shut down its sending side: POLLHUP says that both directions are down, where a read
// says EOF either way (poll(2)). It returns false when the read deadline passes.
func awaitHangup(sc syscall.Conn) bool {
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	// The poller wakes us at each change of the socket's state; bytes that arrive
	// are left where they are.
	err = raw.Read(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(fds, 0)
		gone = err == nil && n > 0 && fds[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
		return gone
	})
	return gone && err == nil
}
