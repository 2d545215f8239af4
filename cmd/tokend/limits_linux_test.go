package main

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTooFewDescriptors holds that a daemon with too few file descriptors to accept connections
// does not start and reports it in one line. If it starts, it has enough to serve.
func TestTooFewDescriptors(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	limited := func(n int) *exec.Cmd {
		return s.command("sh", "-c", fmt.Sprintf("ulimit -n %d; exec tokend serve --config %s", n, s.file()))
	}
	for _, n := range []int{16, 24, 32, 40, 48} {
		cmd := limited(n)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		ended := time.AfterFunc(longEnough, func() { _ = cmd.Process.Kill() })
		err := cmd.Run()
		ended.Stop()
		var last string
		for line := range strings.Lines(stderr.String()) {
			last = line
		}
		if cmd.ProcessState.ExitCode() != 1 || !strings.HasPrefix(last, "tokend: ") || !strings.Contains(last, "LimitNOFILE=") || strings.Contains(last, "disk") {
			t.Errorf("with %d descriptors: %v\n%s", n, err, stderr.String())
		}
	}
	s.start(limited(80))
	s.everything()
}

// TestLimitsReloaded holds that a reload applies [limits] to another user, and that a reload
// without them restores the defaults.
func TestLimitsReloaded(t *testing.T) {
	t.Parallel()
	s := newFaultSite(t, twoHours)
	programs := s.programs()
	configure := func(limits string) { s.configure("socket_mode = \"0666\"\n", faultTables()+limits) }
	reload := func(limits string) {
		t.Helper()
		configure(limits)
		if _, stderr, code := s.tokend("", "reload"); code != 0 {
			t.Fatal(stderr)
		}
	}
	configure("")
	s.ready()
	held := asNobody(filepath.Join(programs, "stranger"), "talk", s.conf.Socket())
	in, err := held.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := held.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := held.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = held.Process.Kill()
		_ = held.Wait()
	}()
	lines := bufio.NewScanner(out)
	ping := func(n int) time.Duration {
		t.Helper()
		began := time.Now()
		if _, err := io.WriteString(in, strings.Repeat("PING\n", n)); err != nil {
			t.Fatal(err)
		}
		for range n {
			if !lines.Scan() || lines.Text() != "OK PONG" {
				t.Fatalf("got %q, %v", lines.Text(), lines.Err())
			}
		}
		return time.Since(began)
	}
	ping(1)
	if got := s.talk(programs, "PING\n"); got != "OK PONG\n" {
		t.Errorf("a second connection: got %q", got)
	}

	reload("[limits]\nmax_connections = 2\nrequests_per_second = 50\nidle_timeout = \"3s\"\n")
	if took := ping(200); took < 1500*time.Millisecond {
		t.Errorf("200 requests at 50 a second took %s", took)
	}
	if got := s.talk(programs, "PING\n"); got != "ERR BUSY 1 too many connections\n" {
		t.Errorf("a second connection beyond the limit: got %q", got)
	}
	for open, began := true, time.Now(); open; {
		time.Sleep(4 * time.Second)
		_, _ = io.WriteString(in, "PING\n")
		if open = lines.Scan(); open && time.Since(began) > longEnough {
			t.Fatal("a connection is open after the idle timeout")
		}
	}

	reload("")
	if got := s.talk(programs, strings.Repeat("PING\n", 1000)); got != strings.Repeat("OK PONG\n", 1000) {
		t.Errorf("1000 requests: got %.100q", got)
	}
}
