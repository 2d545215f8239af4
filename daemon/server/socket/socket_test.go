package socket

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestListenMode(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o077} {
		for _, mode := range []fs.FileMode{0o660, 0o600, 0o666, 0o777} {
			path := testPath(t)
			old := syscall.Umask(umask)
			ln, err := Listen(path, mode)
			syscall.Umask(old)
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got != mode {
				t.Errorf("umask %#o, mode %#o\n got %#o\nwant %#o", umask, mode, got, mode)
			}
			ln.Close()
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the file is there after Close: %v", err)
			}
		}
	}
}

// Between bind and the chmod that follows it, nobody may get in who may not afterwards.
func TestBindIsNeverWider(t *testing.T) {
	path := testPath(t)
	old := syscall.Umask(0)
	ln, err := bind(path, 0o600)
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("the mode after bind\n got %#o\nwant %#o", got, 0o600)
	}
}

func TestListenReplacesAStaleFile(t *testing.T) {
	path := testPath(t)
	killed, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	killed.SetUnlinkOnClose(false)
	killed.Close() // what SIGKILL leaves
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	ln, err := Listen(path, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

func TestListenLeavesOthersAlone(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, path string)
		want string
		is   error
	}{
		{"a daemon that runs", func(t *testing.T, path string) {
			ln, err := Listen(path, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { ln.Close() })
		}, "already running", ErrRunning},
		{"a daemon too busy to accept", busyListener, "already running", ErrRunning},
		{"a file", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "is not a socket", nil},
		{"a directory", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "is not a socket", nil},
		{"a link to nowhere", func(t *testing.T, path string) {
			if err := os.Symlink("/nonexistent/x", path); err != nil {
				t.Fatal(err)
			}
		}, "is not a socket", nil},
		{"a datagram socket", func(t *testing.T, path string) {
			c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
		}, "left as it is", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := testPath(t)
			tt.make(t, path)
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			ln, err := Listen(path, 0o660)
			if err == nil {
				ln.Close()
				t.Fatal("Listen succeeded")
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Count(err.Error(), path) != 1 || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("\n got %v\nwant %q, and the path once", err, tt.want)
			}
			after, err := os.Lstat(path)
			if err != nil || !same(before, after) || before.Mode() != after.Mode() {
				t.Errorf("it has been touched: %v, %v", after, err)
			}
		})
	}
}

// busyListener listens at path with a backlog that is full.
func busyListener(t *testing.T, path string) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		nc, err := net.Dial("unix", path)
		if err != nil {
			return
		}
		t.Cleanup(func() { nc.Close() })
	}
	t.Fatal("the backlog does not fill")
}

func TestListenWhereItCannot(t *testing.T) {
	dir := filepath.Dir(testPath(t))
	tests := []struct{ name, path, want string }{
		{"no directory", filepath.Join(dir, "missing", "s"), "there is no directory " + filepath.Join(dir, "missing")},
		{"too long", filepath.Join(dir, strings.Repeat("x", 108)), "the system allows 107"},
		{"under a file", "/etc/passwd/s", "not a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ln, err := Listen(tt.path, 0o660)
			if err == nil {
				ln.Close()
				t.Fatal("Listen succeeded")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("\n got %v\nwant %q", err, tt.want)
			}
		})
	}
}

// A daemon that ends late must not take away its successor's socket.
func TestCloseLeavesASuccessorsFile(t *testing.T) {
	path := testPath(t)
	first, err := Listen(path, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := Listen(path, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if err := first.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the successor cannot be reached: %v", err)
	}
	nc.Close()
}

// testPath returns a path for a socket in a directory of its own.
func testPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tokend") // a path of t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}
