//go:build !linux

package inplace

import (
	"errors"
	"os"
)

// same returns ErrUnsupported: Is uses its fallback.
func same(*os.File, string) (bool, error) { return false, errors.ErrUnsupported }
