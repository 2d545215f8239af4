//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"tokend/benchmarks/rig"
)

// programs are built once for all tests.
var programs comparison

func TestMain(m *testing.M) {
	status := m.Run()
	if programs.Dir != "" {
		_ = os.RemoveAll(programs.Dir)
	}
	os.Exit(status)
}

// newComparison returns a comparison with all installed servers.
func newComparison(t *testing.T) *comparison {
	if runtime.NumCPU() < 2 {
		t.Skip("needs two processors")
	}
	t.Chdir("../..")
	if programs.Dir == "" {
		dir, err := os.MkdirTemp("", "cmp")
		if err != nil {
			t.Fatal(err)
		}
		programs = comparison{Rig: rig.Rig{Dir: dir}, stdout: io.Discard, stderr: io.Discard}
		if err := programs.build(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c := programs
	var err error
	if c.Dir, err = os.MkdirTemp("", "cmp"); err != nil { // t.TempDir may be too long for a socket
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(c.Dir) })
	return &c
}

// TestTurns runs a little of each load on every installed server, to show that the comparison
// works. It measures nothing.
func TestTurns(t *testing.T) {
	c := newComparison(t)
	s, all, stop, err := c.contenders(t.Context(), "s", 20)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	few := []rig.Shape{{Name: "plain", Args: []string{"--connections", "3"}}, {Name: "connect", Args: []string{"--connections", "2", "--connect"}}}
	r, err := c.turns(t.Context(), 1, "0.05", s, all, few)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range few {
		for _, one := range all {
			for _, got := range r[l.Name][one.name] {
				if got.Rate <= 0 || got.P99 <= 0 || got.Failed != 0 {
					t.Errorf("%s, %s: got %+v", l.Name, one.name, got)
				}
			}
		}
	}
	if len(r["plain"]["tokend"]) != 1 || r.ratio("plain", "tokend", "tokend", rate) != 1 {
		t.Errorf("got %v", r["plain"]["tokend"])
	}
}

// TestUpstream holds that a state's WeChat answers its daemon's calls and counts them.
func TestUpstream(t *testing.T) {
	c := newComparison(t)
	address, err := rig.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.NewState(t.Context(), "s", 5, address, "-used", "4")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := c.Serve(s)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	names, err := os.ReadFile(s.Names)
	if err != nil || slices.Index(names, '\n') != len(s.First) {
		t.Fatalf("%v: %q", err, names)
	}
	if n := upstreamCalls(p.Socket); n != 0 {
		t.Errorf("%d calls for cached values", n)
	}
	if !p.Answers("REFRESH "+s.First+"\n", "OK ") || upstreamCalls(p.Socket) != 1 {
		t.Errorf("refreshed: %d calls", upstreamCalls(p.Socket))
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", s.Upstream.Process.Pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("the threads of WeChat: %v", err)
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(filepath.Base(task))
		if err != nil {
			t.Fatal(err)
		}
		if at, err := unix.Getpriority(unix.PRIO_PROCESS, tid); err == nil && at != 20-rig.WeChatNice { // the kernel returns 40 to 1
			t.Errorf("one of WeChat's %d threads has a normal priority", len(tasks))
		}
	}
	// One for the platform's own token, one for the customer's.
	if got, err := s.Metered(); err != nil || got.Total != 2 || got.Fastest > 2 || got.AtOnce != 1 {
		t.Errorf("WeChat counted %+v, %v", got, err)
	}
}
