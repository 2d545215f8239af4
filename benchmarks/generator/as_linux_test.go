package generator

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAskingAsOthers holds that the users of a plan share its connections, with and without
// Reconnect, and that the process has its own user again afterwards.
func TestAskingAsOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can send requests as other users")
	}
	users := []uint32{1, 2, 65534}
	for _, reconnect := range []bool{false, true} {
		uids := map[uint32]int{}
		path, stop := countUsers(t, uids)
		p := Plan{Socket: path, Requests: requests(1), Connections: 6, Count: 60, Reconnect: reconnect, As: users}
		r, err := Run(t.Context(), p)
		stop()
		if err != nil || r.Replies != 60 || r.Failed() > 0 {
			t.Fatalf("reconnect %v: %+v, %v", reconnect, r, err)
		}
		least := 2
		if reconnect {
			least = 10 // connections are not free at the same times
		}
		for _, uid := range users {
			if uids[uid] < least {
				t.Errorf("reconnect %v: got %v, want each of %v %d times at least", reconnect, uids, users, least)
			}
		}
		if len(uids) != len(users) {
			t.Errorf("reconnect %v: got %v, want none but %v", reconnect, uids, users)
		}
	}
	p := Plan{Requests: requests(1), Count: 1, As: users, Portable: true}
	if err := p.Check(); err == nil {
		t.Error("a portable plan with users was accepted")
	}
}

// countUsers serves one connection after the other and counts their users in uids until stop
// returns.
func countUsers(t *testing.T, uids map[uint32]int) (path string, stop func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "gen")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := ln.AcceptUnix()
			if err != nil {
				return
			}
			raw, err := c.SyscallConn()
			if err != nil {
				t.Error(err)
				return
			}
			_ = raw.Control(func(fd uintptr) {
				cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
				if err != nil {
					t.Error(err)
					return
				}
				uids[cred.Uid]++
			})
			running.Go(func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					if _, err := c.Write([]byte(ok(0, ""))); err != nil {
						return
					}
				}
			})
		}
	})
	return path, func() {
		_ = ln.Close()
		running.Wait()
	}
}
