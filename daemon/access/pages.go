package access

import (
	"os"
	"syscall"

	_ "tokend/daemon/system" // which says why this cannot be built on other systems
	"tokend/protocol"
)

// MaySeePages reports whether a peer with these rights may see the status page and the metrics:
// LIST, STATUS and STATS are granted to it on every name, so the socket shows it the same.
func (r *Rights) MaySeePages() bool {
	return r.Everywhere(protocol.VerbList) && r.Everywhere(protocol.VerbStatus) && r.Everywhere(protocol.VerbStats)
}

// MayConnect reports whether p may connect to the Unix socket at path, by the owner, the group and
// the mode of the file.
func MayConnect(path string, p Peer) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	uid, gid := ownership(info)
	const owner, group, others = 0o200, 0o020, 0o002
	switch {
	case uid == p.UID:
		return info.Mode()&owner != 0
	case p.In(gid):
		return info.Mode()&group != 0
	}
	return info.Mode()&others != 0
}

// ownership returns the owner and the group of a file.
func ownership(info os.FileInfo) (uid, gid uint32) {
	st := info.Sys().(*syscall.Stat_t) // on every system that tokend is built for
	return st.Uid, st.Gid
}
