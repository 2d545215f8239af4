package main

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// closedSocket returns what lets a user open the socket at path, which is not permitted to this
// one.
func closedSocket(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "a directory on the way to it is closed to this user"
	}
	st := info.Sys().(*syscall.Stat_t) // on every system that tokend is built for
	const group, others = 0o020, 0o002
	mode := info.Mode().Perm()
	switch name := groupName(st.Gid); {
	case mode&others != 0:
		return "a directory on the way to it is closed to this user"
	case mode&group != 0 && st.Gid != 0:
		return fmt.Sprintf("group %s may: sudo usermod -aG %s USER, and log in anew, or restart what runs as that user", name, name)
	default:
		return fmt.Sprintf("it is user %s's and group %s's, with mode %04o: give it another group, by SocketGroup= in tokend.socket, or another mode, by SocketMode= there or by socket_mode in the configuration",
			userName(st.Uid), name, uint32(mode))
	}
}

// groupName returns what the group is called; its number if nobody knows.
func groupName(gid uint32) string {
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}
