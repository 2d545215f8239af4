//go:build !linux

package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// harden disables core dumps, and makes new files unreadable for others by default. It must be
// called before the first secret is read.
func harden() error {
	unix.Umask(0o077)
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("RLIMIT_CORE: %w", err)
	}
	return nil
}
