package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A daemon that may open too few files to accept connections says so at its start, in one line, and
// does not start. What it has been allowed to open when it starts is enough to serve.
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
