//go:build !linux

package journal

import "os"

// Datasync makes the content written to f durable.
func Datasync(f *os.File) error { return f.Sync() }
