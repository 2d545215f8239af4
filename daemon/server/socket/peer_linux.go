package socket

import (
	"fmt"
	"syscall"
	"unsafe"

	"tokend/daemon/access"

	"golang.org/x/sys/unix"
)

// peerOf reads what the kernel noted when the peer connected: SO_PEERCRED for the
// process and its first group, SO_PEERGROUPS (Linux 4.13) for the others.
//
// In a user namespace of its own (PrivateUsers= of systemd) the daemon sees
// every foreign uid as 65534; rules by user and such a namespace exclude each other.
func peerOf(fd int) (access.Peer, error) {
	peer, err := User(fd)
	if err == nil {
		peer.Groups, err = Groups(fd)
	}
	return peer, err
}

// User returns the peer of the connected socket fd, without its groups.
func User(fd int) (access.Peer, error) {
	var cred unix.Ucred
	size := uint32(unix.SizeofUcred)
	errno := getsockopt(fd, unix.SO_PEERCRED, unsafe.Pointer(&cred), &size)
	if errno != 0 {
		return access.Peer{}, fmt.Errorf("SO_PEERCRED: %w", errno)
	}
	return access.Peer{PID: cred.Pid, UID: cred.Uid, GID: cred.Gid}, nil
}

// Groups returns the supplementary groups of the peer of the connected socket fd. The kernel keeps
// them as long as the connection lasts. It reports the size that it needs if the buffer is too
// small, so a peer in many groups costs a second call.
func Groups(fd int) ([]uint32, error) {
	var few [32]uint32
	groups := few[:]
	for {
		size := uint32(len(groups)) * 4
		errno := getsockopt(fd, unix.SO_PEERGROUPS, unsafe.Pointer(&groups[0]), &size)
		switch {
		case errno == unix.ERANGE && int(size/4) > len(groups):
			groups = make([]uint32, size/4)
		case errno != 0:
			return nil, fmt.Errorf("SO_PEERGROUPS: %w", errno)
		case size == 0:
			return nil, nil
		default:
			return append([]uint32(nil), groups[:size/4]...), nil
		}
	}
}

// getsockopt never blocks, so Go's scheduler need not know of the call.
func getsockopt(fd, option int, value unsafe.Pointer, size *uint32) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, uintptr(option),
		uintptr(value), uintptr(unsafe.Pointer(size)), 0)
	return errno
}
