//go:build !linux

package doctor

import "context"

// SystemdUnit returns nil: there is no systemd.
func SystemdUnit(context.Context) map[string]string { return nil }

// process returns 0: the process ID of the daemon is not known.
func (d *Doctor) process(context.Context) int { return 0 }

func openFiles(int) (limit, have int, ok bool) { return 0, 0, false }
