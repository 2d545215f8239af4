//go:build !linux

package footprint

// reclaim does nothing. The operating system reclaims pages when it needs memory.
func reclaim() {}
