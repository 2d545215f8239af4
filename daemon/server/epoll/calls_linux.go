package epoll

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The descriptors of a loop are non-blocking, so these calls never wait.

// ErrAgain says that nothing is pending.
var ErrAgain error = unix.EAGAIN

// accept returns the next connection in the queue of fd.
func accept(fd int) (int, error) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(n), errnoErr(errno)
}

// receive reads into b, which is not empty. It returns 0 and no error if the peer will send nothing
// more.
func receive(fd int, b []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
		switch errno {
		case 0:
			raceReceived()
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// send writes as much of b as the kernel takes, and returns how much that is. EAGAIN is not an
// error.
func send(fd int, b []byte) (sent int, err error) {
	raceSending()
	for sent < len(b) {
		n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[sent])), uintptr(len(b)-sent), unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			sent += int(n)
		case unix.EINTR:
		case unix.EAGAIN:
			return sent, nil
		default:
			return sent, errno
		}
	}
	return sent, nil
}

// closeSocket closes fd. A Unix socket does not linger.
func closeSocket(fd int) { _, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// errnoErr returns errno as an error, nil for 0.
func errnoErr(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
