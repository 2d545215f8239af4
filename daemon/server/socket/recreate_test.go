package socket

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// TestListenLike checks that a recreated file has the permissions that an operator gave the old
// one.
func TestListenLike(t *testing.T) {
	path, group := testPath(t), os.Getegid()
	if os.Geteuid() == 0 {
		group = 4242
	}
	ln, err := Listen(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := errors.Join(os.Chmod(path, 0o640), os.Chown(path, -1, group)); err != nil {
		t.Fatal(err)
	}
	last, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	next, err := listenLike(path, last)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	now, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st := now.Sys().(*syscall.Stat_t); now.Mode().Perm() != 0o640 || int(st.Gid) != group {
		t.Errorf("mode and group: got %v, %d, want %#o, %d", now.Mode(), st.Gid, 0o640, group)
	}
}
