package daemon

import (
	"errors"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tokend/daemon/config"
	"tokend/daemon/server/socket"
	"tokend/daemon/store"
	"tokend/fetchers/secret"
)

// look returns the content or type, and the modification time, of every file under dir.
func (s *site) look() map[string]string {
	s.t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		got[path] = info.Mode().String() + info.ModTime().String()
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			got[path] += string(b)
			return err
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// TestWrongKeyChangesNothing checks that New with a wrong key changes no file, including a socket
// file that a killed daemon left.
func TestWrongKeyChangesNothing(t *testing.T) {
	s := newSite(t)
	with := func(key string) *config.Config {
		c := s.config(accountsTOML)
		c.EncryptionKey = secret.Text(key)
		return c
	}
	right, wrong := strings.Repeat("1", store.KeySize), strings.Repeat("2", store.KeySize)
	s.start(with(right)).stop()
	stale(t, filepath.Join(s.dir, "s"))
	before := s.look()
	for _, key := range []string{wrong, ""} {
		d, err := New(Config{File: with(key)})
		if err == nil {
			_ = d.Close()
		}
		if !errors.Is(err, store.ErrKey) {
			t.Errorf("got %v, want ErrKey", err)
		}
		if after := s.look(); !maps.Equal(after, before) {
			for path := range before {
				if after[path] != before[path] {
					t.Errorf("%s has changed", path)
				}
			}
		}
	}
	// With the right key a daemon starts at the same socket.
	s.start(with(right))
	if err := s.client.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := New(Config{File: with(wrong)}); !errors.Is(err, socket.ErrRunning) {
		t.Errorf("a second daemon with a wrong key: got %v, want ErrRunning", err)
	}
}

// stale creates a socket file at path, as a killed daemon leaves it.
func stale(t *testing.T, path string) {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
}
