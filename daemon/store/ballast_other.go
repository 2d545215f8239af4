//go:build !linux

package store

import (
	"errors"
	"os"
)

// fallocate says that room cannot be reserved without writing.
func fallocate(*os.File, int64) error { return errors.ErrUnsupported }
