package server

import (
	"fmt"
	"net"
	"slices"

	_ "tokend/daemon/system" // which says why this cannot be built on other systems
)

// Peer is the process at the other end of a connection, as the kernel vouches
// for it: who it was when it connected. What it says of itself counts for nothing.
type Peer struct {
	// PID is for the log only: the process may be gone and its number
	// someone else's. Zero where the system does not tell.
	PID int32

	UID uint32
	GID uint32

	// Groups are the supplementary groups, in no particular order. They may
	// or may not contain GID.
	Groups []uint32
}

// in reports whether p belongs to the group gid.
func (p Peer) in(gid uint32) bool {
	return p.GID == gid || slices.Contains(p.Groups, gid)
}

// kernelPeer asks the kernel who is at the other end of nc. It fails on anything
// but a Unix socket: who cannot be known is not served. The peer of a connection of an event loop
// is without its groups; see session.late.
func kernelPeer(nc net.Conn) (Peer, error) {
	if own, ok := nc.(interface{ peer() (Peer, error) }); ok {
		return own.peer()
	}
	uc, ok := nc.(*net.UnixConn)
	if !ok {
		return Peer{}, fmt.Errorf("peer of a %T is not known", nc)
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var peer Peer
	var peerErr error
	if err := raw.Control(func(fd uintptr) { peer, peerErr = socketPeer(int(fd)) }); err != nil {
		return Peer{}, err
	}
	return peer, peerErr
}
