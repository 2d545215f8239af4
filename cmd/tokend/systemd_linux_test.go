package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// notices is a service manager that listens.
type notices struct {
	t    *testing.T
	conn *net.UnixConn
}

func newNotices(t *testing.T, dir string) *notices {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &notices{t, conn}
}

// want waits for a notice with all lines, skipping others.
func (n *notices) want(lines ...string) {
	n.t.Helper()
	if err := n.conn.SetReadDeadline(time.Now().Add(longEnough)); err != nil {
		n.t.Fatal(err)
	}
	var had []string
next:
	for {
		b := make([]byte, 4096)
		size, err := n.conn.Read(b)
		if err != nil {
			n.t.Fatalf("%v; wanted %q, had %q", err, lines, had)
		}
		notice := string(b[:size])
		had = append(had, notice)
		for _, l := range lines {
			if !strings.Contains("\n"+notice+"\n", "\n"+l) {
				continue next
			}
		}
		return
	}
}

func TestNotices(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	n := newNotices(t, s.dir)
	cmd := s.command("tokend", "serve", "--config", s.file())
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+n.conn.LocalAddr().String(), "WATCHDOG_USEC=300000")
	s.start(cmd)
	n.want("READY=1\n", "STATUS=serving 6 accounts at "+s.conf.Socket()+"\n")
	n.want("WATCHDOG=1\n")
	n.want("WATCHDOG=1\n")

	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	n.want("RELOADING=1\n", "MONOTONIC_USEC=")
	n.want("READY=1\n")
	if err := os.WriteFile(s.file(), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	n.want("RELOADING=1\n")
	n.want("READY=1\n", "STATUS=serving 6 accounts at "+s.conf.Socket()+"; the last reload was refused")
	if code := s.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status: got %d, want 0", code)
	}
	n.want("STOPPING=1\n")
}

// activated returns the command of a daemon that inherits a socket.
func (s *site) activated(socket *os.File, args ...string) *exec.Cmd {
	// LISTEN_PID must be the pid of the daemon, which only the shell knows.
	cmd := s.command("sh", append([]string{"-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec tokend serve "$@"`, "sh", "--config", s.file()}, args...)...)
	cmd.ExtraFiles = []*os.File{socket}
	return cmd
}

// TestSocketActivation starts the daemon with an inherited socket: it serves there, not at the
// configured path, and leaves the socket file alone.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	configured := s.conf.Socket()
	path := filepath.Join(s.dir, "handed-over.sock")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	defer ln.Close()
	file, err := ln.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s.client.Socket = path
	s.start(s.activated(file))
	s.everything()
	if _, err := os.Lstat(configured); err == nil {
		t.Error("the configured socket was created too")
	}
	if code := s.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status: got %d, want 0\n%s", code, s.log())
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("systemd's socket file: %v", err)
	}
}

// TestSocketActivationUnixOnly holds that a network socket from systemd is refused.
func TestSocketActivationUnixOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := s.activated(file)
	if err := cmd.Run(); err == nil {
		t.Error("the daemon served")
	}
	if !strings.Contains(s.log(), "is not a Unix stream socket") {
		t.Errorf("got %s", s.log())
	}
}

// TestRefusedStart checks that a daemon that cannot start answers the clients at an inherited
// socket for a while, and that a corrected start serves there.
func TestRefusedStart(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	path := filepath.Join(s.dir, "inherited.sock")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	file, err := ln.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	good, err := os.ReadFile(s.file())
	if err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(s.dir, "state")
	for _, test := range []struct {
		name, file string
		args       []string
		stateMode  os.FileMode
		want       string
		code       int
	}{
		{"a mistake", "log_level = debug\n" + string(good), nil, 0o700, "INTERNAL -", 2},
		{"an unknown flag", string(good), []string{"--nonsense"}, 0o700, "INTERNAL -", 2},
		{"another reason", string(good), nil, 0o755, "INTERNAL 1", 1},
	} {
		if err := errors.Join(os.WriteFile(s.file(), []byte(test.file), 0o600), os.MkdirAll(state, 0o700), os.Chmod(state, test.stateMode)); err != nil {
			t.Fatal(err)
		}
		exchange := func(request string) <-chan string {
			nc, err := net.Dial("unix", path) // before the daemon starts
			if err != nil {
				t.Fatal(err)
			}
			_ = nc.SetDeadline(time.Now().Add(longEnough))
			reply := make(chan string, 1)
			go func() {
				defer nc.Close()
				_, _ = io.WriteString(nc, request)
				line, _ := bufio.NewReader(nc).ReadString('\n')
				reply <- line
			}()
			return reply
		}
		plain, redis := exchange("PING\n"), exchange("*1\r\n$4\r\nPING\r\n")
		cmd := s.activated(file, test.args...)
		_ = cmd.Run()
		const text = " tokend does not start: systemctl status tokend"
		if got, want := <-plain, "ERR "+test.want+text+"\n"; got != want {
			t.Errorf("%s: got %q, want %q", test.name, got, want)
		}
		if got, want := <-redis, "-"+test.want+text+"\r\n"; got != want {
			t.Errorf("%s: in RESP: got %q, want %q", test.name, got, want)
		}
		if code := cmd.ProcessState.ExitCode(); code != test.code {
			t.Errorf("%s: exit status %d, want %d", test.name, code, test.code)
		}
	}
	if err := os.Chmod(state, 0o700); err != nil {
		t.Fatal(err)
	}
	s.client.Socket = path
	s.start(s.activated(file))
	s.everything()
	if code := s.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status: got %d, want 0\n%s", code, s.log())
	}
}
