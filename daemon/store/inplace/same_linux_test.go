package inplace

import (
	"os"
	"path/filepath"
	"testing"
)

// TestTheTimesAreNotAskedFor holds that what Is takes for granted on Linux is there: it would be
// right without, and each sync that follows dearer.
func TestTheTimesAreNotAskedFor(t *testing.T) {
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
