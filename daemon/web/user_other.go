//go:build !linux

package web

import (
	"errors"
	"net/netip"
)

// userOf cannot look up users on this system. Where Sees decides, only configured monitors see the
// pages over TCP.
func userOf(remote, local netip.AddrPort) (uid uint32, err error) {
	return 0, errors.New("the users of TCP connections are known on Linux only")
}
