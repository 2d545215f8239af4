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

// look returns every file under dir: its content, or what else it is, and when it was written.
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

// What cannot work is refused before anything is touched: the socket file that a kill has left
// included.
func TestAWrongKeyTouchesNothing(t *testing.T) {
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
					t.Errorf("%s was touched", path)
				}
			}
		}
	}
	// With the right one it comes up at the same socket.
	s.start(with(right))
	if err := s.client.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := New(Config{File: with(wrong)}); !errors.Is(err, socket.ErrRunning) {
		t.Errorf("a second one, with a wrong key: got %v, want ErrRunning", err)
	}
}

// stale leaves a socket file at path as a kill does.
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
