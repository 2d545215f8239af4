package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal returns a terminal of that width, and a function that ends it and returns what was
// written to it.
func terminal(t *testing.T, width int) (tty *os.File, end func() string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: uint16(width)}); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(&out, master) // ends with EIO after the last close of tty
	}()
	return tty, func() string {
		_ = tty.Close()
		<-done
		_ = master.Close()
		return strings.ReplaceAll(out.String(), "\r\n", "\n")
	}
}

// TestTerminal holds that an overview fits the width of a terminal, and has colors unless NO_COLOR
// is set.
func TestTerminal(t *testing.T) {
	t.Parallel()
	s := newPlatform(t)
	for _, test := range []struct {
		name  string
		env   map[string]string
		color bool
		bar   string
	}{
		{"color", map[string]string{"LANG": "C.UTF-8"}, true, "█"},
		{"NO_COLOR", map[string]string{"NO_COLOR": "1"}, false, "#"},
		{"dumb", map[string]string{"TERM": "dumb"}, false, "#"},
		{"Chinese", map[string]string{"LC_ALL": "zh_CN.UTF-8"}, true, "█"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ticket := s.wechat.TicketPush("wxsandboxplatform").Event.Ticket
			if _, _, code := s.tokend(string(ticket), "put", "open_platform/wxsandboxplatform/component_verify_ticket"); code != 0 {
				t.Fatalf("put: status %d", code)
			}
			tty, end := terminal(t, 60)
			test.env["TOKEND_SOCKET"] = s.conf.Socket()
			code := run(t.Context(), []string{"status"}, func(key string) string { return test.env[key] }, strings.NewReader(""), tty, io.Discard)
			out := end()
			if code != exitFailed { // the suites wait
				t.Errorf("status %d", code)
			}
			if got := strings.Contains(out, "\x1b["); got != test.color || !strings.Contains(out, test.bar) {
				t.Errorf("colors: %v, want %v; bars of %s\n%s", got, test.color, test.bar, out)
			}
			for line := range strings.Lines(out) {
				line = escapes.ReplaceAllString(strings.TrimSuffix(line, "\n"), "")
				// Names and commands are not broken: they are to be copied.
				if columns(line) > 60 && !strings.Contains(line, "/") {
					t.Errorf("%d columns: %s", columns(line), line)
				}
			}
		})
	}
}

// TestWatchOverview holds that status --watch draws again, and continues while the daemon is down.
func TestWatchOverview(t *testing.T) {
	t.Parallel()
	s := newPlatform(t)
	tty, end := terminal(t, 100)
	cmd := s.command("tokend", "status", "--watch")
	cmd.Env = append(os.Environ(), "TOKEND_SOCKET="+s.conf.Socket(), "LC_ALL=C")
	cmd.Stdout, cmd.Stderr = tty, tty
	if err := startWithTest(cmd); err != nil {
		t.Fatal(err)
	}
	time.Sleep(refreshEvery / 4)
	s.end(unix.SIGTERM)
	time.Sleep(refreshEvery * 3 / 2)
	_ = cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Errorf("interrupted: %v", err)
	}
	out := end()
	if n := strings.Count(out, clearScreen); n < 2 || !strings.Contains(out, "needs attention") || !strings.Contains(out, "no daemon at ") {
		t.Errorf("drawn %d times:\n%s", n, out)
	}
}

// escapes matches the sequences of a terminal.
var escapes = regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`)
