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

// TestClosedSocket holds that who may not open a socket is told who may, by the names that usermod
// and the unit take.
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
		{54321, 0o660, "group 54321 may: sudo usermod -aG 54321 USER,"},
		{0, 0o660, "it is user root's and group root's, with mode 0660:"},
		{54321, 0o600, "it is user root's and group 54321's, with mode 0600:"},
		{54321, 0o666, "a directory on the way to it is closed"},
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
	if got := hint(refused); !strings.HasPrefix(got, "a directory on the way") {
		t.Errorf("got %q", got)
	}
}

// TestConfigurationThatCannotBeRead holds that there is a next step.
func TestConfigurationThatCannotBeRead(t *testing.T) {
	if got := hint(&configError{"t.toml", &fs.PathError{Op: "open", Path: "t.toml", Err: fs.ErrPermission}}); !strings.Contains(got, "sudo") {
		t.Errorf("not permitted: got %q", got)
	}
	_, err := loadConfig(t.TempDir())
	if got := hint(err); !strings.Contains(got, "--config") {
		t.Errorf("a directory: got %q", got)
	}
}

// TestDeniedReload holds that nobody is sent to write a rule that cannot help: none grants RELOAD.
func TestDeniedReload(t *testing.T) {
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
		if line, _ := bufio.NewReader(nc).ReadString('\n'); line == "RELOAD\n" {
			_, _ = io.WriteString(nc, "ERR DENIED - RELOAD is not granted to this user\n")
		}
	})
	defer daemon.Wait()
	defer func() { _ = ln.Close() }()
	var stdout, stderr strings.Builder
	code := run(t.Context(), []string{"reload", "--socket", path}, os.Getenv, strings.NewReader(""), &stdout, &stderr)
	want := "tokend: DENIED: RELOAD is not granted to this user\nhint: it is for root and tokend's own user, and no [[access]] rule grants it\n"
	if code != exitNotFound || stderr.String() != want {
		t.Errorf("exit status %d\n got %q\nwant %q", code, stderr.String(), want)
	}
}
