package cluster

import (
	"crypto/sha256"
	"encoding/binary"
)

// Rank returns the place of host for the credential with a name, from 0: how many of hosts come
// before it. Each name has an order of its own, so each host is the first for its share of names. A
// host that joins or leaves moves the others by at most one place. Hosts may disagree for a while
// about who is alive, and about ranks therefore: the claim decides.
func Rank(host, name string, hosts []string) int {
	rank, own := 0, weight(host, name)
	for _, h := range hosts {
		if h == host {
			continue
		}
		if w := weight(h, name); w > own || w == own && h > host {
			rank++
		}
	}
	return rank
}

// weight is the weight of a host in the order of hosts for a name.
func weight(host, name string) uint64 {
	var b [256]byte // no allocation, unless the name is long
	text := append(b[:0], host...)
	text = append(append(text, 0), name...)
	sum := sha256.Sum256(text)
	return binary.BigEndian.Uint64(sum[:])
}
