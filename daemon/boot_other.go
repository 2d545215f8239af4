//go:build !linux

package daemon

import "time"

// boottime is nil: other systems have Go's monotonic clock.
var boottime func() time.Duration

// bootID names no boot: the moments of an earlier run are taken from the wall clock.
func bootID() string { return "" }
