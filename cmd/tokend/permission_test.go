package main

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestClosedSocket holds that the hint for a closed socket names the permitted group, as usermod
// and the unit expect it.
func TestClosedSocket(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files to groups")
	}
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		gid  int
		mode fs.FileMode
		want string
	}{
		{54321, 0o660, "group 54321 may open it: sudo usermod -aG 54321 USER,"},
		{0, 0o660, "it belongs to user root and group root, with mode 0660:"},
		{54321, 0o600, "it belongs to user root and group 54321, with mode 0600:"},
		{54321, 0o666, "a parent directory is closed"},
	} {
		if err := errors.Join(os.Chown(path, 0, test.gid), os.Chmod(path, test.mode)); err != nil {
			t.Fatal(err)
		}
		refused := &askError{&fs.PathError{Op: "connect", Path: path, Err: fs.ErrPermission}, path, time.Second}
		if got := hint(refused); !strings.HasPrefix(got, test.want) {
			t.Errorf("group %d, mode %v:\n got %q\nwant %q", test.gid, test.mode, got, test.want)
		}
	}
	refused := &askError{fs.ErrPermission, filepath.Join(path, "further"), time.Second}
	if got := hint(refused); !strings.HasPrefix(got, "a parent directory") {
		t.Errorf("got %q", got)
	}
}

// TestUnreadableConfiguration holds that the error has a hint.
func TestUnreadableConfiguration(t *testing.T) {
	if got := hint(&configError{"t.toml", &fs.PathError{Op: "open", Path: "t.toml", Err: fs.ErrPermission}}); !strings.Contains(got, "sudo") {
		t.Errorf("not permitted: got %q", got)
	}
	_, err := loadConfig(t.TempDir())
	if got := hint(err); !strings.Contains(got, "--config") {
		t.Errorf("a directory: got %q", got)
	}
}

// replying starts a daemon with a fixed reply for each request of one connection, and returns its
// socket.
func replying(t *testing.T, replies map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var daemon sync.WaitGroup
	daemon.Go(func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer func() { _ = nc.Close() }()
		requests := bufio.NewScanner(nc)
		for requests.Scan() {
			_, _ = io.WriteString(nc, replies[requests.Text()])
		}
	})
	t.Cleanup(daemon.Wait)
	t.Cleanup(func() { _ = ln.Close() })
	return path
}

// TestDeniedReload holds that the hint suggests no [[access]] rule, since none grants RELOAD.
func TestDeniedReload(t *testing.T) {
	path := replying(t, map[string]string{"RELOAD": "ERR DENIED - RELOAD is not granted to this user\n"})
	var stdout, stderr strings.Builder
	code := run(t.Context(), []string{"reload", "--socket", path}, os.Getenv, strings.NewReader(""), &stdout, &stderr)
	want := "tokend: DENIED: RELOAD is not granted to this user\nhint: it requires root or tokend's own user; no [[access]] rule grants it\n"
	if code != exitNotFound || stderr.String() != want {
		t.Errorf("exit status %d\n got %q\nwant %q", code, stderr.String(), want)
	}
}
