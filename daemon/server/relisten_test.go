package server

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// answers reports whether a server answers at path.
func answers(path string) bool {
	nc, err := net.Dial("unix", path)
	if err != nil {
		return false
	}
	defer nc.Close()
	got := make([]byte, 8)
	_, err = nc.Write([]byte("PING\n"))
	n, _ := nc.Read(got)
	return err == nil && string(got[:n]) == "OK PONG\n"
}

// TestSocketFileDeleted holds that a daemon whose socket somebody deletes can soon be found again,
// as before, and leaves nothing behind when it stops.
func TestSocketFileDeleted(t *testing.T) {
	overBoth(t, func(t *testing.T, d driver) {
		t.Parallel()
		var path string
		t.Run("while it serves", func(t *testing.T) {
			log := new(syncBuffer)
			path, _, _ = d.startSocket(t, Config{Logger: hclog.New(&hclog.LoggerOptions{Output: log})})
			for i := range 2 {
				before := dialSocket(t, path)
				before.want(before.ask("PING"), "OK PONG")
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				eventually(t, "it answers", func() bool { return answers(path) })
				if now, err := os.Lstat(path); err != nil || now.Mode().Perm() != 0o666 {
					t.Errorf("got %v, %v, want mode %#o", now.Mode(), err, 0o666)
				}
				if n := strings.Count(log.String(), "socket file was deleted"); n != i+1 {
					t.Errorf("it is in the log %d times, want %d", n, i+1)
				}
			}
		})
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after the stop: %v", err)
		}
	})
}

// TestSocketFileReplaced holds that what somebody has put in the socket's place is left alone, and
// said once.
func TestSocketFileReplaced(t *testing.T) {
	t.Parallel()
	log := new(syncBuffer)
	path, _, _ := byLoop.startSocket(t, Config{Logger: hclog.New(&hclog.LoggerOptions{Output: log})})
	if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte("foreign"), 0o600)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is logged", func() bool { return strings.Count(log.String(), "another file is in its place") > 0 })
	if b, err := os.ReadFile(path); string(b) != "foreign" {
		t.Errorf("got %q, %v", b, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it answers", func() bool { return answers(path) })
	if n := strings.Count(log.String(), "another file is in its place"); n != 1 {
		t.Errorf("it was logged %d times", n)
	}
}
