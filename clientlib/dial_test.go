package clientlib

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestNoDaemon(t *testing.T) {
	path := testSocket(t)
	c := &Client{Socket: path}
	if err := c.Ping(t.Context()); !errors.Is(err, ErrNoDaemon) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no socket: error is %v", err)
	} else if text := err.Error(); !strings.Contains(text, path) || !strings.Contains(text, "systemctl start tokend") {
		t.Errorf("the error names neither the socket nor what to do: %s", text)
	}

	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false) // as a killed daemon leaves it
	ln.Close()
	if err := c.Ping(t.Context()); !errors.Is(err, ErrNoDaemon) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nothing listens: error is %v", err)
	}

	c.Socket = filepath.Join(t.TempDir(), "not-a-directory")
	if err := os.WriteFile(c.Socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Socket = filepath.Join(c.Socket, "s")
	if err := c.Ping(t.Context()); err == nil || errors.Is(err, ErrNoDaemon) {
		t.Errorf("an impossible path: error is %v", err)
	}
}

// TestSocketDenied holds that the error of a user who may not open the socket says what to do.
func TestSocketDenied(t *testing.T) {
	c := &Client{DialContext: func(context.Context) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "unix", Addr: &net.UnixAddr{Name: DefaultSocket, Net: "unix"}, Err: os.NewSyscallError("connect", syscall.EACCES)}
	}}
	_, err := c.Get(t.Context(), tokenName)
	if !errors.Is(err, os.ErrPermission) || errors.Is(err, ErrNoDaemon) || !strings.Contains(err.Error(), DefaultSocket) || !strings.Contains(err.Error(), "usermod -aG tokend") {
		t.Errorf("got %v", err)
	}
}

func TestSocketPath(t *testing.T) {
	for _, tt := range []struct{ field, env, want string }{
		{"/a", "/b", "/a"},
		{"", "/b", "/b"},
		{"", "", DefaultSocket},
	} {
		t.Setenv("TOKEND_SOCKET", tt.env)
		if got := (&Client{Socket: tt.field}).socket(); got != tt.want {
			t.Errorf("Socket %q, TOKEND_SOCKET %q: %q, want %q", tt.field, tt.env, got, tt.want)
		}
	}
}

// TestFullBacklog holds that dial waits while the listen queue is full, but not beyond the
// deadline.
func TestFullBacklog(t *testing.T) {
	d := &fakeDaemon{serve: always("OK PONG\n")}
	var mu sync.Mutex
	refused := 3
	c := &Client{DialContext: func(ctx context.Context) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if refused--; refused >= 0 {
			return nil, &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EAGAIN)}
		}
		return d.dialPipe(ctx)
	}}
	defer c.Close()
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	c.Close()
	d.wg.Wait()

	refused = 1 << 30
	c = &Client{DialContext: c.DialContext, Timeout: 20 * time.Millisecond}
	if err := c.Ping(t.Context()); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("error is %v", err)
	}
}
