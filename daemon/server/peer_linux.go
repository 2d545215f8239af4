package server

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socketPeer reads what the kernel noted when the peer connected: SO_PEERCRED for the
// process and its first group, SO_PEERGROUPS (Linux 4.13) for the others.
//
// In a user namespace of its own (PrivateUsers= of systemd) the daemon sees
// every foreign uid as 65534; rules by user and such a namespace exclude each other.
func socketPeer(fd int) (Peer, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Peer{}, fmt.Errorf("SO_PEERCRED: %w", err)
	}
	groups, err := socketGroups(fd)
	if err != nil {
		return Peer{}, fmt.Errorf("SO_PEERGROUPS: %w", err)
	}
	return Peer{PID: cred.Pid, UID: cred.Uid, GID: cred.Gid, Groups: groups}, nil
}

// socketGroups returns the peer's supplementary groups. The kernel says how much room
// it needs when there was too little, so a peer in many groups costs a second call.
func socketGroups(fd int) ([]uint32, error) {
	var few [32]uint32
	groups := few[:]
	for {
		size := uint32(len(groups)) * 4
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == unix.ERANGE && int(size/4) > len(groups):
			groups = make([]uint32, size/4)
		case errno != 0:
			return nil, errno
		case size == 0:
			return nil, nil
		default:
			return append([]uint32(nil), groups[:size/4]...), nil
		}
	}
}
