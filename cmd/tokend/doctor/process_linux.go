package doctor

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// SystemdUnit returns the properties of the daemon's systemd unit, or nil if systemd does not run.
func SystemdUnit(ctx context.Context) map[string]string {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "show", "tokend.service",
		"--property=LoadState,ActiveState,UnitFileState,NRestarts,Result,MainPID,NeedDaemonReload").Output()
	if err != nil {
		return nil
	}
	p := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			p[key] = value
		}
	}
	return p
}

// process returns the process ID of the daemon, or 0 if it is unknown.
func (d *Doctor) process(ctx context.Context) int {
	if d.Unit != nil {
		if pid, _ := strconv.Atoi(d.Unit(ctx)["MainPID"]); pid > 0 {
			return pid
		}
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
