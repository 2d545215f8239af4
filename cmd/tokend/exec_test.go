package main

import (
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

const execName = "official_account/wxsandboxofficial/access_token"

// execCommand returns a tokend exec that runs a script of the shell with the official account's
// token in the file $F and the variable $V. The script says that it has started with "ready".
func execCommand(t *testing.T, s *site, script string) (cmd *exec.Cmd, ready func(), output func() string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	output = func() string {
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	cmd = exec.Command("tokend", "exec", "--file", "F="+execName, "--env", "V="+execName, "--", "sh", "-c", script)
	cmd.Env = append(os.Environ(), "TOKEND_SOCKET="+s.conf.Socket())
	cmd.Stdout, cmd.Stderr = f, f
	// In a process group of its own, its signals are not those of the tests' terminal.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	ready = func() {
		t.Helper()
		for began := time.Now(); !strings.Contains(output(), "ready"); time.Sleep(2 * time.Millisecond) {
			if time.Since(began) > longEnough {
				t.Fatalf("the command has not started:\n%s", output())
			}
		}
	}
	return cmd, ready, output
}

// waitExec waits until a tokend exec has ended. After longEnough it kills it and its command.
func waitExec(t *testing.T, cmd *exec.Cmd, output func() string) (status int) {
	t.Helper()
	if !waitOrKill(cmd) {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // fails without a command
		t.Fatalf("the command has not ended:\n%s", output())
	}
	return cmd.ProcessState.ExitCode()
}

// TestExecSignals holds that signals are forwarded once, that the exit status is the command's, and
// that the file is gone afterwards.
func TestExecSignals(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	s.serve()
	const wait = `while :; do sleep 0.02; done`
	for _, test := range []struct {
		name   string
		script string
		send   []syscall.Signal
		status int
		want   string
	}{
		{"TERM", "echo $F ready; " + wait, []syscall.Signal{syscall.SIGTERM}, 128 + 15, ""},
		{"a handler", `trap 'echo term; exit 9' TERM; echo $F ready; ` + wait, []syscall.Signal{syscall.SIGTERM}, 9, "term\n"},
		{"USR2 and USR1", `trap 'echo usr2' USR2; trap 'echo usr1; exit 0' USR1; echo $F ready; ` + wait, []syscall.Signal{syscall.SIGUSR2, syscall.SIGUSR1}, 0, "usr2\nusr1\n"},
		{"INT", `trap 'echo int' INT; trap 'exit 3' QUIT; echo $F ready; ` + wait, []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT}, 3, "int\n"},
		{"TSTP and CONT", `trap 'echo tstp' TSTP; trap 'echo cont' CONT; trap 'exit 4' TERM; echo $F ready; ` + wait, []syscall.Signal{syscall.SIGTSTP, syscall.SIGCONT, syscall.SIGTERM}, 4, "tstp\ncont\n"},
		{"stopped", `trap 'exit 4' TERM; echo $F ready; ` + wait, []syscall.Signal{syscall.SIGTSTP, syscall.SIGCONT, syscall.SIGTERM}, 4, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cmd, ready, output := execCommand(t, s, test.script)
			if err := startWithTest(cmd); err != nil {
				t.Fatal(err)
			}
			ready()
			lines := strings.SplitAfter(test.want, "\n")
			for i, sig := range test.send {
				if err := cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				// Pending signals have no order, so the next is sent when this one was handled.
				for began := time.Now(); i < len(lines) && i+1 < len(test.send) && !strings.Contains(output(), lines[i]); time.Sleep(time.Millisecond) {
					if time.Since(began) > longEnough {
						t.Fatalf("signal %v was not handled:\n%s", sig, output())
					}
				}
			}
			got := waitExec(t, cmd, output)
			path, rest, _ := strings.Cut(output(), " ready\n")
			if got != test.status || rest != test.want {
				t.Errorf("got status %d and %q, want %d and %q", got, rest, test.status, test.want)
			}
			if _, err := os.Stat(filepath.Dir(path)); !os.IsNotExist(err) {
				t.Errorf("the directory of the file: %v", err)
			}
		})
	}
}

// TestExecInterruptedBefore holds that a signal while tokend waits for a value ends it without
// starting the command.
func TestExecInterruptedBefore(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	// This listener replies to nothing.
	socket := filepath.Join(s.dir, "silent.sock")
	accepted := listenSilently(t, socket)
	cmd, _, output := execCommand(t, s, "echo ready")
	cmd.Env = append(os.Environ(), "TOKEND_SOCKET="+socket)
	if err := startWithTest(cmd); err != nil {
		t.Fatal(err)
	}
	<-accepted
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := waitExec(t, cmd, output); got != exitFailed || output() != "tokend: interrupted\n" {
		t.Errorf("got status %d and %q", got, output())
	}
}

// listenSilently accepts connections at path and never replies. The channel closes at the first.
func listenSilently(t *testing.T, path string) <-chan struct{} {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	accepted, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		nc, err := l.Accept()
		if err != nil {
			return
		}
		close(accepted)
		_, _ = io.Copy(io.Discard, nc) // until the client closes it
		_ = nc.Close()
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return accepted
}
