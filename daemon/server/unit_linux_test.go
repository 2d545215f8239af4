package server

import (
	"os"
	"testing"

	"tokend/daemon/access"
)

func TestUnitIn(t *testing.T) {
	for path, want := range map[string]string{
		"/":                                "",
		"/init.scope":                      "init.scope",
		"/system.slice/php8.2-fpm.service": "php8.2-fpm.service",
		"/system.slice/system-getty.slice/getty@tty1.service":           "getty@tty1.service",
		"/system.slice/a.service/b.service":                             "a.service", // what it delegates is its own
		"/user.slice/user-33.slice/session-1.scope":                     "session-1.scope",
		"/user.slice/user-33.slice/user@33.service/app.slice/x.service": "user@33.service",
		"/../../system.slice/dbus-org\\x2dfoo.service":                  "dbus-org\\x2dfoo.service",
		"/docker/0123456789abcdef":                                      "",
		"/system.slice":                                                 "",
		"/system.slice/a b.service":                                     "",
		"/system.slice/a\x1b[31m.service":                               "",
		"/system.slice/uid=0 outcome.scope":                             "",
	} {
		if got := unitIn(path); got != want {
			t.Errorf("%q\n got %q\nwant %q", path, got, want)
		}
	}
}

func TestEffectiveUID(t *testing.T) {
	for status, want := range map[string]uint32{
		"Name:\tx\nUid:\t33\t1001\t33\t33\nGid:\t1\t2\t3\t4\n": 1001,
		"Uid:\t0\t0\t0\t0": 0,
	} {
		if got, ok := effectiveUID(status); !ok || got != want {
			t.Errorf("%q\n got %d, %v\nwant %d", status, got, ok, want)
		}
	}
	for _, status := range []string{"", "Uid:\n", "Uid:\t1\n", "Uid:\t1\tx\n", "Name:\tUid:\t1\t1\n"} {
		if got, ok := effectiveUID(status); ok {
			t.Errorf("%q: got %d, want none", status, got)
		}
	}
}

// The number of a process is no proof of whose it is.
func TestUnitOfAnotherUsersProcess(t *testing.T) {
	const status = "Name:\tphp-fpm\nUid:\t0\t33\t33\t33\n"
	for _, tt := range []struct {
		cgroup, status string
		uid            uint32
		want           string
	}{
		{"0::/system.slice/php8.2-fpm.service\n", status, 33, "php8.2-fpm.service"},
		{"12:pids:/system.slice/x.service\n1:name=systemd:/system.slice/cron.service\n0::/\n", status, 33, "cron.service"},
		{"0::/system.slice/php8.2-fpm.service\n", status, 0, "-"}, // what it was when it started
		{"0::/system.slice/php8.2-fpm.service\n", "", 33, "-"},
		{"0::/\n", status, 33, "-"},
		{"4:memory:/system.slice/php8.2-fpm.service\n", status, 33, "-"},
		{"nonsense\n0:\n", status, 33, "-"},
		{"", status, 33, "-"},
	} {
		if got := unitFrom(tt.cgroup, tt.status, tt.uid); got != tt.want {
			t.Errorf("%q of %q, uid %d\n got %q\nwant %q", tt.cgroup, tt.status, tt.uid, got, tt.want)
		}
	}
	self := access.Peer{PID: int32(os.Getpid()), UID: uint32(os.Geteuid())}
	if uid, ok := effectiveUID(procFile("/proc/self/status")); !ok || uid != self.UID {
		t.Fatalf("the status of this process says uid %d, %v, want %d", uid, ok, self.UID)
	}
	if unitOf(self) == "" {
		t.Error("the unit of this process is empty, want it or \"-\"")
	}
	for _, p := range []access.Peer{{PID: self.PID, UID: self.UID + 1}, {PID: 0}, {PID: -1}, {PID: 1 << 30}} {
		if got := unitOf(p); got != "-" {
			t.Errorf("%+v\n got %q\nwant \"-\"", p, got)
		}
	}
}
