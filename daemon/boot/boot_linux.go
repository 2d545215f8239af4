package boot

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Clock returns what tells the time since boot, suspend included.
func Clock() func() time.Duration { return since }

func since() time.Duration {
	var ts unix.Timespec
	// CLOCK_BOOTTIME has been there since Linux 2.6.39; the call cannot fail.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}

// ID names this boot; empty where the kernel does not say, which makes the moments of an
// earlier run be taken from the wall clock.
func ID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
