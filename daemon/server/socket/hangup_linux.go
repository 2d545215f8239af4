package socket

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// AwaitHangup waits until the peer of sc has closed its socket. A peer that has only shut down its
// sending side does not count: POLLHUP is reported when both directions are down, while a read
// returns EOF in either case (poll(2)). AwaitHangup returns false when the read deadline passes.
func AwaitHangup(sc syscall.Conn) bool {
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	// Go's poller wakes this goroutine at each change of the socket's state. Bytes that arrive stay
	// in the kernel.
	err = raw.Read(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(fds, 0)
		gone = err == nil && n > 0 && fds[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
		return gone
	})
	return gone && err == nil
}
