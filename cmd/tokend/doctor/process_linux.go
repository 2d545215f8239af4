package doctor

import (
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// process returns the process ID of the daemon, or 0 if it is unknown.
func (d *Doctor) process() int {
	if pid, _ := strconv.Atoi(d.Unit["MainPID"]); pid > 0 {
		return pid
	}
	c, err := net.Dial("unix", d.Socket)
	if err != nil {
		return 0
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0
	}
	var peer *unix.Ucred
	if raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }) != nil || err != nil || peer.Pid <= 1 {
		return 0 // systemd has opened the socket
	}
	return int(peer.Pid)
}

// openFiles returns how many descriptors a process may have, and how many it has; have is -1 if
// this user may not see them.
func openFiles(pid int) (limit, have int, ok bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	b, err := os.ReadFile(dir + "/limits")
	if err != nil {
		return 0, 0, false
	}
	for line := range strings.Lines(string(b)) {
		if rest, found := strings.CutPrefix(line, "Max open files"); found {
			if limit, err = strconv.Atoi(strings.Fields(rest)[0]); err != nil {
				return 0, 0, false
			}
		}
	}
	have = -1
	if files, err := os.ReadDir(dir + "/fd"); err == nil {
		have = len(files)
	}
	return limit, have, limit > 0
}
