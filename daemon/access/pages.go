package access

import (
	"os"
	"path/filepath"
	"syscall"

	_ "tokend/daemon/system" // which says why this cannot be built on other systems
	"tokend/protocol"
)

// MaySeePages reports whether a peer with these rights may see the status page and the metrics:
// LIST, STATUS and STATS are granted to it on every name, so the socket shows it the same.
func (r *Rights) MaySeePages() bool {
	return r.Everywhere(protocol.VerbList) && r.Everywhere(protocol.VerbStatus) && r.Everywhere(protocol.VerbStats)
}

// MayConnect reports whether p may connect to the Unix socket at path: write to the file and search
// all directories above it, by their owners, groups and modes. A symbolic link in path needs the
// directories above its target too.
func MayConnect(path string, p Peer) bool {
	const search, write = 1, 2
	target, err := filepath.EvalSymlinks(path)
	if err != nil || !may(target, write, p) {
		return false
	}
	for _, file := range []string{path, target} {
		for dir := filepath.Dir(file); ; dir = filepath.Dir(dir) {
			if !may(dir, search, p) {
				return false
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return true
}

// may reports whether a file gives p a permission, a bit of "others". For owner and group it is
// their bit.
func may(path string, bit os.FileMode, p Peer) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	switch uid, gid := ownership(info); {
	case uid == p.UID:
		bit <<= 6
	case p.In(gid):
		bit <<= 3
	}
	return info.Mode()&bit != 0
}

// ownership returns the owner and the group of a file.
func ownership(info os.FileInfo) (uid, gid uint32) {
	st := info.Sys().(*syscall.Stat_t) // on every system that tokend is built for
	return st.Uid, st.Gid
}
