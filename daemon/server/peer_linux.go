package server

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socketPeer reads what the kernel noted when the peer connected: SO_PEERCRED for the
// process and its first group, SO_PEERGROUPS (Linux 4.13) for the others.
//
// In a user namespace of its own (PrivateUsers= of systemd) the daemon sees
// every foreign uid as 65534; rules by user and such a namespace exclude each other.
func socketPeer(fd int) (Peer, error) {
	peer, err := socketUser(fd)
	if err == nil {
		peer.Groups, err = socketGroups(fd)
	}
	return peer, err
}

// socketUser is socketPeer without the groups.
func socketUser(fd int) (Peer, error) {
	var cred unix.Ucred
	size := uint32(unix.SizeofUcred)
	errno := getsockopt(fd, unix.SO_PEERCRED, unsafe.Pointer(&cred), &size)
	if errno != 0 {
		return Peer{}, fmt.Errorf("SO_PEERCRED: %w", errno)
	}
	return Peer{PID: cred.Pid, UID: cred.Uid, GID: cred.Gid}, nil
}

// socketGroups returns the peer's supplementary groups. The kernel says how much room
// it needs when there was too little, so a peer in many groups costs a second call.
func socketGroups(fd int) ([]uint32, error) {
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

// getsockopt never waits: nothing is gained by telling Go's scheduler of it.
func getsockopt(fd, option int, value unsafe.Pointer, size *uint32) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, uintptr(option),
		uintptr(value), uintptr(unsafe.Pointer(size)), 0)
	return errno
}
