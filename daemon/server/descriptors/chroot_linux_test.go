package descriptors

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNoDevices checks that spares need no file: a container may lack /dev/null.
func TestNoDevices(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("chroot needs root")
	}
	dir := t.TempDir()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with its root
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			t.Error(err)
			return
		}
		if err := unix.Chroot(dir); err != nil {
			t.Error(err)
			return
		}
		r := NewReserve()
		defer r.Close()
		if !r.Refill() {
			t.Error("no spares")
		}
		if err := Check(1); err != nil {
			t.Error(err)
		}
	}()
	<-done
}
