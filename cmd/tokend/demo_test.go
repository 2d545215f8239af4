package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tokend/cmd/tokend/demo"
)

// output is the output of a demonstration. It calls seen with each line.
type output struct {
	seen func(line string)
	mu   sync.Mutex
	b    bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen != nil {
		o.seen(string(p))
	}
	return o.b.Write(p)
}

// leftovers returns the files of demonstrations in dir.
func leftovers(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "tokend-demo-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestDemo(t *testing.T) {
	t.Parallel()
	s := newSite(t, "") // only to run a command
	stdout, stderr, code := s.tokend("", "demo", "--lang", "en")
	if code != 0 || stderr != "" {
		t.Fatalf("exit status %d\n%s%s", code, stdout, stderr)
	}
	for _, want := range []string{"13. Stop", "18 calls, one for each credential", "1 call for 100 rejects", "checks passed"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is missing in\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout, "   NO ") || strings.Contains(stdout, "%!") {
		t.Errorf("got\n%s", stdout)
	}
}

// TestDemoNotices holds that the demonstration detects a daemon that loses its state on a restart,
// as a cache in memory would.
func TestDemoNotices(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "forgetful")
	script := "#!/bin/sh\nrm -rf \"$(dirname \"$3\")/state\"\nexec tokend \"$@\"\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	var out output
	err := demo.Run(t.Context(), demo.Config{Program: program, Out: &out})
	if err == nil {
		t.Fatalf("the demonstration succeeded\n%s", out.b.String())
	}
	text := out.b.String()
	if !strings.Contains(text, "NO  1 000 reads, every value as before") || strings.Contains(text, "checks passed") {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestDemoInterrupted holds that an interrupted demonstration leaves nothing behind.
func TestDemoInterrupted(t *testing.T) {
	dir, err := os.MkdirTemp("", "tokend-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv("TMPDIR", dir)
	interrupted := errors.New("interrupt signal received")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	during := 0
	out := output{seen: func(line string) {
		if strings.HasPrefix(line, "\n2. ") {
			during = len(leftovers(t, dir))
			cancel(interrupted)
		}
	}}
	err = demo.Run(ctx, demo.Config{Program: "tokend", Out: &out})
	if !errors.Is(err, interrupted) {
		t.Errorf("got %v, want %v\n%s", err, interrupted, out.b.String())
	}
	if during != 1 || len(leftovers(t, dir)) != 0 {
		t.Errorf("directories: %d during, %d after; want 1, 0", during, len(leftovers(t, dir)))
	}
}

// TestDemoWithoutReader holds that a demonstration without a reader, as after a pager, leaves
// nothing behind.
func TestDemoWithoutReader(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "tokend-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd := exec.Command("tokend", "demo")
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := startWithTest(cmd); err != nil {
		t.Fatal(err)
	}
	for in := bufio.NewScanner(out); in.Scan() && !strings.HasPrefix(in.Text(), "1. "); {
		continue // the daemon starts next
	}
	_ = out.Close()
	waitOrKill(cmd)
	if code := cmd.ProcessState.ExitCode(); code != 1 || len(leftovers(t, dir)) != 0 {
		t.Errorf("%v, %d directories left behind", cmd.ProcessState, len(leftovers(t, dir)))
	}
}

// TestDemoWithoutDaemon runs the demonstration with a program that exits at once.
func TestDemoWithoutDaemon(t *testing.T) {
	t.Parallel()
	var out output
	err := demo.Run(t.Context(), demo.Config{Program: "false", Out: &out})
	if err == nil || !strings.Contains(err.Error(), "the daemon has exited") {
		t.Errorf("got %v", err)
	}
}

func TestLanguage(t *testing.T) {
	for _, c := range []struct {
		flag string
		env  map[string]string
		zh   bool
	}{
		{"", nil, false},
		{"", map[string]string{"LANG": "zh_CN.UTF-8"}, true},
		{"", map[string]string{"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, false},
		{"", map[string]string{"LANG": "en_GB.UTF-8", "LC_MESSAGES": "zh_TW.UTF-8"}, true},
		{"en", map[string]string{"LANG": "zh_CN.UTF-8"}, false},
		{"zh", nil, true},
	} {
		zh, err := speaksChinese(c.flag, func(k string) string { return c.env[k] })
		if err != nil || zh != c.zh {
			t.Errorf("--lang %q, %v: got %t, %v", c.flag, c.env, zh, err)
		}
	}
}

// TestDemoHosts passes numbers of hosts that there is no demonstration of.
func TestDemoHosts(t *testing.T) {
	t.Parallel()
	s := newSite(t, "") // only to run a command
	for _, hosts := range []string{"1", "0", "-1", "6", "three", ""} {
		for _, lang := range []string{"en", "zh"} {
			stdout, stderr, code := s.tokend("", "demo", "--hosts", hosts, "--lang", lang)
			if code != 2 || stdout != "" || !strings.Contains(stderr, "--hosts") {
				t.Errorf("--hosts %q --lang %s: exit status %d, %q, %q", hosts, lang, code, stdout, stderr)
			}
		}
	}
}
