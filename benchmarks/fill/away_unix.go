//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// orders returns the signals that make WeChat unreachable and reachable; see isAway. stop ends
// that.
func orders() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 2) // one of each
	signal.Notify(c, syscall.SIGUSR1, syscall.SIGUSR2)
	return c, func() { signal.Stop(c) }
}

// isAway reports whether a signal makes WeChat unreachable: SIGUSR1 does, SIGUSR2 makes it
// reachable again.
func isAway(s os.Signal) bool { return s == syscall.SIGUSR1 }
