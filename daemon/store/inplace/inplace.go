package inplace

import "os"

// Is reports whether path names f. An error is about f; a path that cannot be examined names
// nothing.
func Is(f *os.File, path string) (bool, error) {
	if is, err := same(f, path); err == nil {
		return is, nil
	}
	used, err := f.Stat()
	if err != nil {
		return false, err
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(used, named), nil
}
