package daemon

import (
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"

	"tokend/daemon/server"
)

// oversees reports whether the user of this host with that uid may see by HTTP how the daemon
// stands: if it could learn the same over the socket. So it can open the socket, and LIST, STATUS
// and STATS are granted to it on every name. Its groups are those that the system's databases give
// it.
func (d *Daemon) oversees(uid uint32) bool {
	if uid == 0 || uid == uint32(os.Geteuid()) {
		return true
	}
	peer := peerOf(uid)
	return d.server.MayOversee(peer) && mayOpen(d.listeners[0].Addr().String(), peer)
}

// peerOf returns a peer of that uid, with its groups; without any if nobody knows the user.
func peerOf(uid uint32) server.Peer {
	p := server.Peer{UID: uid, GID: nobody}
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return p
	}
	if n, err := strconv.ParseUint(u.Gid, 10, 32); err == nil {
		p.GID = uint32(n)
	}
	groups, _ := u.GroupIds() // what is not known is not granted
	for _, g := range groups {
		if n, err := strconv.ParseUint(g, 10, 32); err == nil {
			p.Groups = append(p.Groups, uint32(n))
		}
	}
	return p
}

// nobody is the gid that stands for none: (gid_t)-1, which no group has.
const nobody = ^uint32(0)

// mayOpen reports whether p may connect to the socket at path, by its owner, group and mode.
func mayOpen(path string, p server.Peer) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	uid, gid := ownership(info)
	const owner, group, others = 0o200, 0o020, 0o002
	switch {
	case uid == p.UID:
		return info.Mode()&owner != 0
	case gid == p.GID || slices.Contains(p.Groups, gid):
		return info.Mode()&group != 0
	}
	return info.Mode()&others != 0
}

// ownership returns whose a file is.
func ownership(info os.FileInfo) (uid, gid uint32) {
	st := info.Sys().(*syscall.Stat_t) // on every system that tokend is built for
	return st.Uid, st.Gid
}
