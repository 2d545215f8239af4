//go:build !linux

package journal

import "os"

// Datasync makes durable what has been written to f.
func Datasync(f *os.File) error { return f.Sync() }
