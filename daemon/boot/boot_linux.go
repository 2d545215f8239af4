package boot

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Clock returns a function that returns the time since boot, suspend included.
func Clock() func() time.Duration { return since }

func since() time.Duration {
	var ts unix.Timespec
	// CLOCK_BOOTTIME exists since Linux 2.6.39. The call cannot fail.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}

// ID identifies this boot. It is empty if the kernel has no boot ID. In that case moments of an
// earlier run are converted from the wall clock.
func ID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
