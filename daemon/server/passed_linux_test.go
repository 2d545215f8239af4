package server

import (
	"errors"
	"net"
	"path/filepath"
	"testing"

	"tokend/daemon/server/socket"

	"golang.org/x/sys/unix"
)

// TestDescriptorsAreRefused checks that the kernel refuses descriptors that a peer passes, on a
// socket of [socket.Listen] and on an adopted one, and that the peer's other requests are answered.
func TestDescriptorsAreRefused(t *testing.T) {
	overBoth(t, func(t *testing.T, d driver) {
		path, _, _ := d.startSocket(t, Config{})
		wantRefused(t, path)
	})
	t.Run("adopted", func(t *testing.T) {
		path := filepath.Join(filepath.Dir(testSocket(t)), "adopted")
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		serveUntilEnd(t, Config{Engine: newFakeEngine(), Sign: fakeSign}, socket.Adopt(ln))
		wantRefused(t, path)
	})
}

func wantRefused(t *testing.T, path string) {
	t.Helper()
	c := dialSocket(t, path)
	conn, ok := c.Conn.(*net.UnixConn)
	if !ok {
		t.Fatalf("a %T", c.Conn)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { _, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSRIGHTS) }); err != nil {
		t.Fatal(err)
	}
	if errors.Is(err, unix.ENOPROTOOPT) {
		t.Skip("this kernel refuses no descriptors")
	}
	_, _, err = conn.WriteMsgUnix([]byte("GET "+token+"\n"), unix.UnixRights(0), nil)
	if !errors.Is(err, unix.EPERM) {
		t.Errorf("passing a descriptor: got %v, want it refused", err)
	}
	c.want(c.ask("PING"), "OK PONG")
}
