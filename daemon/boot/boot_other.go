//go:build !linux

package boot

import "time"

// Clock returns nil: there is Go's monotonic clock.
func Clock() func() time.Duration { return nil }

// ID names no boot: the moments of an earlier run are taken from the wall clock.
func ID() string { return "" }
