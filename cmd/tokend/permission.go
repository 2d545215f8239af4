package main

import (
	"fmt"
	"os"
	"syscall"

	"tokend/daemon/permit"
)

// closedSocket returns a hint for a user who may not open the socket at path.
func closedSocket(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "a parent directory is closed to this user"
	}
	st := info.Sys().(*syscall.Stat_t) // on every system that tokend runs on
	const group, others = 0o020, 0o002
	mode := info.Mode().Perm()
	switch name := permit.GroupName(st.Gid); {
	case mode&others != 0:
		return "a parent directory is closed to this user"
	case mode&group != 0 && st.Gid != 0:
		return fmt.Sprintf("group %s may open it: sudo usermod -aG %s USER, then log in again, or restart that user's services", name, name)
	default:
		return fmt.Sprintf("it belongs to user %s and group %s, with mode %04o: set another group with SocketGroup= in tokend.socket, or another mode with SocketMode= there or socket_mode in the configuration",
			userName(st.Uid), name, uint32(mode))
	}
}
