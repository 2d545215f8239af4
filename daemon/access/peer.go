package access

import (
	"os/user"
	"slices"
	"strconv"
)

// Peer is the process at the other end of a connection. The kernel noted it when the process
// connected.
type Peer struct {
	// PID is for the log only: the process may have ended, and its number may be another's. It is
	// zero where the system has no PID for a peer.
	PID int32

	UID uint32
	GID uint32

	// Groups are the supplementary groups, in no particular order. They may or may not contain GID.
	Groups []uint32
}

// In reports whether p belongs to the group gid.
func (p Peer) In(gid uint32) bool {
	return p.GID == gid || slices.Contains(p.Groups, gid)
}

// noGroup is (gid_t)-1, which no group has.
const noGroup = ^uint32(0)

// PeerOf returns a peer that is the user uid, with the groups that the system's user database has.
// An unknown user has none.
func PeerOf(uid uint32) Peer {
	p := Peer{UID: uid, GID: noGroup}
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return p
	}
	if n, err := strconv.ParseUint(u.Gid, 10, 32); err == nil {
		p.GID = uint32(n)
	}
	groups, _ := u.GroupIds() // an unknown group grants nothing
	for _, g := range groups {
		if n, err := strconv.ParseUint(g, 10, 32); err == nil {
			p.Groups = append(p.Groups, uint32(n))
		}
	}
	return p
}
