//go:build !linux

package journal

import "os"

// datasync makes durable what has been written to f.
func datasync(f *os.File) error { return f.Sync() }
