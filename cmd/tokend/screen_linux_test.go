package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// screenText is what was written to a terminal.
type screenText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screenText) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screenText) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.ReplaceAll(s.b.String(), "\r\n", "\n")
}

// await waits until text was written.
func (s *screenText) await(t *testing.T, text string) {
	t.Helper()
	for began := time.Now(); !strings.Contains(s.String(), text); time.Sleep(2 * time.Millisecond) {
		if time.Since(began) > longEnough {
			t.Fatalf("%q is missing in\n%s", text, s.String())
		}
	}
}

// terminal returns a terminal of that width, and a function that closes it and returns what was
// written to it.
func terminal(t *testing.T, width int) (tty *os.File, end func() string) {
	t.Helper()
	tty, out, closeAll := watchedTerminal(t, width)
	return tty, func() string {
		closeAll()
		return out.String()
	}
}

// watchedTerminal returns a terminal of that width, what is written to it, and a function that
// closes it and waits for all of that.
func watchedTerminal(t *testing.T, width int) (tty *os.File, out *screenText, end func()) {
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
	out = new(screenText)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(out, master) // ends with EIO after the last close of tty
	}()
	return tty, out, func() {
		_ = tty.Close()
		<-done
		_ = master.Close()
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
	tty, shown, end := watchedTerminal(t, 100)
	cmd := s.command("tokend", "status", "--watch")
	cmd.Env = append(os.Environ(), "TOKEND_SOCKET="+s.conf.Socket(), "LC_ALL=C")
	cmd.Stdout, cmd.Stderr = tty, tty
	if err := startWithTest(cmd); err != nil {
		t.Fatal(err)
	}
	shown.await(t, "needs attention")
	s.end(unix.SIGTERM)
	shown.await(t, "no daemon at ")
	_ = cmd.Process.Signal(os.Interrupt)
	if !waitOrKill(cmd) || !cmd.ProcessState.Success() {
		t.Errorf("interrupted: %v", cmd.ProcessState)
	}
	end()
	if n := strings.Count(shown.String(), clearScreen); n < 2 {
		t.Errorf("drawn %d times:\n%s", n, shown.String())
	}
}

// escapes matches the sequences of a terminal.
var escapes = regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`)
