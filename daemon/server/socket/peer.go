package socket

import (
	"fmt"
	"net"

	"tokend/daemon/access"
	_ "tokend/daemon/system" // which says why this cannot be built on other systems
)

// Peer returns the process at the other end of nc, with its groups. It fails on anything but a Unix
// socket: an unknown peer is not served.
func Peer(nc net.Conn) (access.Peer, error) {
	uc, ok := nc.(*net.UnixConn)
	if !ok {
		return access.Peer{}, fmt.Errorf("peer of a %T is not known", nc)
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return access.Peer{}, err
	}
	var peer access.Peer
	var peerErr error
	if err := raw.Control(func(fd uintptr) { peer, peerErr = peerOf(int(fd)) }); err != nil {
		return access.Peer{}, err
	}
	return peer, peerErr
}
