//go:build !linux

package journal

import (
	"errors"
	"os"
)

// allocate returns ErrUnsupported: this system cannot reserve space.
func allocate(*os.File, int64, int64) error { return errors.ErrUnsupported }
