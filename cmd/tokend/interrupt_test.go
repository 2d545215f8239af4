package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tokend/daemon/store"
)

// TestInterruptEndsBlocked sends SIGTERM to commands that wait on a FIFO or a pipe.
func TestInterruptEndsBlocked(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"backup", "half", "config", "serve", "names", "out"} {
		if err := unix.Mkfifo(at(name), 0o600); err != nil {
			t.Skip(err)
		}
	}
	state := fmt.Appendf(nil, "state_dir = %q\nencryption_key = %q\n", at("state"), strings.Repeat("k", 32))
	if err := os.WriteFile(at("tokend.toml"), state, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(store.Config{Dir: at("other"), Key: bytes.Repeat([]byte("k"), 32)})
	if err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if err := s.Backup(&backup); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// Both ends are open, so that no command ends by itself.
	for _, name := range []string{"half", "config", "serve"} {
		f, err := os.OpenFile(at(name), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.Write(backup.Bytes()[:backup.Len()-20]); err != nil {
			t.Fatal(err)
		}
	}
	silent, hold, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	defer hold.Close()
	stuffed, stuff, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stuffed.Close()
	defer stuff.Close()
	fillPipe(t, stuff)
	// In a group, so that the files above stay open until all commands have ended.
	t.Run("commands", func(t *testing.T) {
		for name, test := range map[string]struct {
			args   string
			stdout *os.File
			status int
		}{
			"restore of a FIFO":          {"restore --config tokend.toml backup", nil, exitFailed},
			"restore of half a backup":   {"restore --config tokend.toml half", nil, exitFailed},
			"restore of standard input":  {"restore --config tokend.toml", nil, exitFailed},
			"a configuration":            {"check --config config", nil, exitFailed},
			"the daemon's configuration": {"serve --config serve", nil, exitDone},
			"a value":                    {"put open_work/ww1/suite_ticket", nil, exitFailed},
			"unread output":              {"check --config tokend.toml", stuff, exitFailed},
			"names from a FIFO":          {"bench --names names", nil, exitFailed},
			"a configuration output":     {"sandbox --listen 127.0.0.1:0 --config-out out", nil, exitFailed},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				cmd := exec.CommandContext(t.Context(), "tokend", strings.Fields(test.args)...)
				var stderr bytes.Buffer
				cmd.Dir, cmd.Stdin, cmd.Stderr = dir, silent, &stderr
				if test.stdout != nil {
					cmd.Stdout = test.stdout
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				untilBlocked(cmd)
				if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatalf("the command ended by itself: %v\n%s", err, &stderr)
				}
				if !waitOrKill(cmd) || cmd.ProcessState.ExitCode() != test.status {
					t.Errorf("got %v, want status %d\n%s", cmd.ProcessState, test.status, &stderr)
				}
			})
		}
	})
	if left, _ := os.ReadDir(at("state")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// untilBlocked waits until no thread of a process has run for half a second. Without /proc it takes
// the process for blocked after that time.
func untilBlocked(cmd *exec.Cmd) {
	const quiet = 500 * time.Millisecond
	began := time.Now()
	for ran := began; time.Since(ran) < quiet && time.Since(began) < longEnough; time.Sleep(quiet / 50) {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", cmd.Process.Pid))
		for _, file := range threads {
			stat, _ := os.ReadFile(file) // the thread may have ended
			if bytes.Contains(stat, []byte(") R ")) || bytes.Contains(stat, []byte(") D ")) {
				ran = time.Now()
			}
		}
	}
}

// fillPipe writes to a pipe until it is full.
func fillPipe(t *testing.T, w *os.File) {
	t.Helper()
	if err := w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 8<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the pipe is not full: %v", err)
	}
}

// TestUnreadError holds that a daemon with an invalid configuration ends, even if nothing reads its
// error: with the exit status after which systemd does not restart it, or by SIGTERM.
func TestUnreadError(t *testing.T) {
	for name, stalled := range map[string]bool{"gone": false, "stalled": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			cmd := exec.CommandContext(t.Context(), "tokend", "serve", "--config", filepath.Join(t.TempDir(), "none.toml"))
			cmd.Stderr = w
			if !stalled {
				_ = r.Close()
			} else {
				defer r.Close()
				fillPipe(t, w)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if stalled {
				untilBlocked(cmd)
				if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatalf("the daemon ended by itself: %v", err)
				}
			}
			if !waitOrKill(cmd) || cmd.ProcessState.ExitCode() != exitUsage {
				t.Errorf("got %v, want status %d", cmd.ProcessState, exitUsage)
			}
		})
	}
}

// TestBackupNotToFIFO holds that backup refuses a FIFO instead of waiting for a reader.
func TestBackupNotToFIFO(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Skip(err)
	}
	var stderr bytes.Buffer
	status := run(t.Context(), []string{"backup", "--force", fifo}, os.Getenv, nil, nil, &stderr)
	if status != exitFailed || !strings.HasSuffix(stderr.String(), " is not a regular file\n") {
		t.Errorf("status %d: %s", status, &stderr)
	}
}
