package inplace

import (
	"os"
	"path/filepath"
	"testing"
)

func TestIs(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "file"), filepath.Join(dir, "other")
	link := filepath.Join(dir, "link")
	write := func(path string) {
		t.Helper()
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(path)
	write(other)
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	check := func(what string, f *os.File, path string, want bool) {
		t.Helper()
		if is, err := Is(f, path); err != nil || is != want {
			t.Errorf("%s: got %v, %v; want %v", what, is, err, want)
		}
	}
	check("itself", f, path, true)
	check("a link to it", f, link, true)
	check("another", f, other, false)
	check("none", f, filepath.Join(dir, "none"), false)
	check("below a file", f, filepath.Join(other, "x"), false)
	check("a directory", d, dir, true)
	check("a directory by another name", d, filepath.Join(dir, "..", filepath.Base(dir)), true)
	check("a file in it", d, path, false)
	if err := os.Rename(path, filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	check("moved away", f, path, false)
	check("a link to nothing", f, link, false)
	write(path)
	check("another in its place", f, path, false)
	check("by its new name", f, filepath.Join(dir, "moved"), true)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if is, err := Is(f, path); err == nil {
		t.Errorf("closed: got %v and no error", is)
	}
}
