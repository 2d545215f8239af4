package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestExecCommandLines holds that the value is on no command line of the host.
func TestExecCommandLines(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	s.serve()
	value, err := s.client.Get(t.Context(), execName)
	if err != nil {
		t.Fatal(err)
	}
	cmd, ready, output := execCommand(t, s, `test "$V" = "$(cat $F)" && echo ready; read x`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := startWithTest(cmd); err != nil {
		t.Fatal(err)
	}
	ready()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, path := range lines {
		line, _ := os.ReadFile(path) // the process may have ended
		if bytes.Contains(line, []byte(string(value.Value))) {
			t.Errorf("%s shows the value", path)
		}
		if bytes.Contains(line, []byte("V="+execName)) {
			seen++
		}
	}
	if seen == 0 {
		t.Error("the command line of tokend exec was not found")
	}
	_ = in.Close()
	if waitExec(t, cmd, output) == exitDone { // read fails
		t.Errorf("%s", output())
	}
}

// TestExecTerminal holds that Ctrl-C reaches the command once: the terminal signals both processes.
func TestExecTerminal(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	s.serve()
	tty, end := terminal(t, 80)
	cmd, ready, output := execCommand(t, s, `trap 'echo int' INT; trap 'exit 5' TERM; echo ready; while :; do sleep 0.02; done`)
	cmd.Stdin = tty
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	if err := startWithTest(cmd); err != nil {
		t.Fatal(err)
	}
	ready()
	stopped := func() bool {
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "stat"))
		return err == nil && strings.Contains(string(stat), ") T ")
	}
	group := func(sig unix.Signal) { // as the terminal does
		t.Helper()
		if err := unix.Kill(-cmd.Process.Pid, sig); err != nil {
			t.Fatal(err)
		}
	}
	group(unix.SIGINT)
	for began := time.Now(); !strings.Contains(output(), "int") && time.Since(began) < longEnough; {
		time.Sleep(2 * time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond) // for a second one
	group(unix.SIGTSTP)
	for began := time.Now(); !stopped(); time.Sleep(2 * time.Millisecond) {
		if time.Since(began) > longEnough {
			t.Error("Ctrl-Z does not stop tokend, so that the shell does not continue")
			break
		}
	}
	group(unix.SIGCONT)
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := waitExec(t, cmd, output); got != 5 || strings.Count(output(), "int") != 1 {
		t.Errorf("got status %d and %q, want 5 and one interrupt", got, output())
	}
	end()
}
