//go:build darwin || freebsd

package socket

import (
	"fmt"

	"tokend/daemon/access"

	"golang.org/x/sys/unix"
)

// solLocal is SOL_LOCAL, the option level of Unix sockets in <sys/un.h>.
const solLocal = 0

// peerOf reads LOCAL_PEERCRED: the effective uid and up to 16 groups, the first
// of which is the process's own. There is no pid in it.
func peerOf(fd int) (access.Peer, error) {
	cred, err := unix.GetsockoptXucred(fd, solLocal, unix.LOCAL_PEERCRED)
	if err != nil {
		return access.Peer{}, fmt.Errorf("LOCAL_PEERCRED: %w", err)
	}
	peer := access.Peer{UID: cred.Uid}
	if n := min(int(cred.Ngroups), len(cred.Groups)); n > 0 {
		peer.GID = cred.Groups[0]
		peer.Groups = append(peer.Groups, cred.Groups[1:n]...)
	}
	return peer, nil
}
