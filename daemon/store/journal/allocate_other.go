//go:build !linux

package journal

import (
	"errors"
	"os"
)

// allocate says that room cannot be reserved here.
func allocate(*os.File, int64, int64) error { return errors.ErrUnsupported }
