package inplace

import (
	"os"
	"path/filepath"
	"testing"
)

// TestStatxWithoutTimes checks that statx works on this system. Is would work without it, but
// later syncs would be slower.
func TestStatxWithoutTimes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, at := range []string{path, path + " of none"} {
		if is, err := same(f, at); err != nil || is != (at == path) {
			t.Errorf("%s: got %v, %v", at, is, err)
		}
	}
}
