//go:build !linux && !darwin && !freebsd

package server

import "errors"

// socketPeer refuses: a peer that the kernel does not vouch for is not served.
func socketPeer(int) (Peer, error) {
	return Peer{}, errors.New("this system does not tell who a socket's peer is")
}
