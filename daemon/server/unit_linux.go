package server

import (
	"io"
	"os"
	"strconv"
	"strings"

	"tokend/daemon/access"
)

// maxProcFile bounds how many bytes of a file in /proc are read.
const maxProcFile = 16 << 10

// unitOf returns the systemd unit of p's process, or "-" if it is unknown. The process may have
// exited or run without systemd, or the daemon may not see other users' processes
// (ProtectProc=invisible). A pid that another user's process has reused is detected. A pid that a
// process of the same user has reused may not be.
func unitOf(p access.Peer) string {
	if p.PID <= 0 {
		return "-"
	}
	dir := "/proc/" + strconv.Itoa(int(p.PID))
	cgroup := procFile(dir + "/cgroup") // before the status, which verifies the uid
	return unitFrom(cgroup, procFile(dir+"/status"), p.UID)
}

// unitFrom returns the unit in a process's control groups, if its status has uid.
func unitFrom(cgroup, status string, uid uint32) string {
	if effective, ok := effectiveUID(status); !ok || effective != uid {
		return "-"
	}
	for line := range strings.Lines(cgroup) {
		// hierarchy:controllers:path; systemd's is 0, or has its name before cgroup 2.
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) == 3 && (f[0] == "0" || f[1] == "name=systemd") {
			if unit := unitIn(f[2]); unit != "" {
				return unit
			}
		}
	}
	return "-"
}

// procFile returns what can be read of the file at path.
func procFile(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, maxProcFile))
	return string(b)
}

// effectiveUID returns the second number in the line "Uid:" of a process's status.
func effectiveUID(status string) (uint32, bool) {
	for line := range strings.Lines(status) {
		if f := strings.Fields(line); len(f) >= 3 && f[0] == "Uid:" {
			n, err := strconv.ParseUint(f[2], 10, 32)
			return uint32(n), err == nil
		}
	}
	return 0, false
}

// unitIn returns the unit of a control group: the first element of path that is not a slice, as in
// /system.slice/php8.2-fpm.service or /user.slice/user-33.slice/session-1.scope.
func unitIn(path string) string {
	for part := range strings.SplitSeq(path, "/") {
		switch {
		case part == "", part == "..", strings.HasSuffix(part, ".slice"):
		case isUnit(part):
			return part
		default:
			return ""
		}
	}
	return ""
}

// isUnit reports whether s is the name of a service or a scope, the two kinds of units that have
// processes (systemd.unit(5)). A user that can create control groups can choose any name.
func isUnit(s string) bool {
	return len(s) <= 255 && (strings.HasSuffix(s, ".service") || strings.HasSuffix(s, ".scope")) &&
		!strings.ContainsFunc(s, func(r rune) bool {
			return !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune(`:_.\@-`, r))
		})
}
