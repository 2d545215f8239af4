package socket

import (
	"fmt"
	"net"

	"tokend/daemon/access"
	_ "tokend/daemon/system" // which says why this cannot be built on other systems
)

// Peer returns the process at the other end of nc, with its groups. It fails on anything but a Unix
// socket: an unknown peer is not served.
func Peer(nc net.Conn) (peer access.Peer, err error) {
	err = fmt.Errorf("peer of a %T is not known", nc)
	switch nc.(type) {
	case *net.UnixConn, interface{ Descriptor() int }:
		control(nc, func(fd uintptr) { peer, err = peerOf(int(fd)) })
	}
	return peer, err
}
