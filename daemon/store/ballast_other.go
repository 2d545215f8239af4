//go:build !linux

package store

import (
	"errors"
	"os"
)

// fallocate returns ErrUnsupported: this system cannot allocate space without writing.
func fallocate(*os.File, int64) error { return errors.ErrUnsupported }
