//go:build !linux

package boot

import "time"

// Clock returns nil, which selects Go's monotonic clock.
func Clock() func() time.Duration { return nil }

// ID returns no boot ID: moments of an earlier run are converted from the wall clock.
func ID() string { return "" }
