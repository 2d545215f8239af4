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
)

// programs are built once for all tests.
var programs comparison

func TestMain(m *testing.M) {
	status := m.Run()
	if programs.dir != "" {
		_ = os.RemoveAll(programs.dir)
	}
	os.Exit(status)
}

// newComparison returns a comparison with all that is installed.
func newComparison(t *testing.T) *comparison {
	if runtime.NumCPU() < 2 {
		t.Skip("there is one processor")
	}
	t.Chdir("../..")
	if programs.dir == "" {
		dir, err := os.MkdirTemp("", "cmp")
		if err != nil {
			t.Fatal(err)
		}
		programs = comparison{dir: dir, stdout: io.Discard, stderr: io.Discard}
		if err := programs.build(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c := programs
	var err error
	if c.dir, err = os.MkdirTemp("", "cmp"); err != nil { // t.TempDir may be too long for a socket
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(c.dir) })
	return &c
}

// TestTurns has every server that is installed carry a little of each load, so that the comparison
// still works when it is wanted. It measures nothing.
func TestTurns(t *testing.T) {
	c := newComparison(t)
	s, err := c.newState(t.Context(), "s", 20, "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	all, stop, err := c.contenders(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	few := []load{{"plain", []string{"--connections", "3"}}, {"connect", []string{"--connections", "2", "--connect"}}}
	r, err := c.turns(t.Context(), 1, "0.05", s, all, few)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range few {
		for _, one := range all {
			for _, got := range r[l.name][one.name] {
				if got.Rate <= 0 || got.P99 <= 0 || got.Failed != 0 {
					t.Errorf("%s, %s: got %+v", l.name, one.name, got)
				}
			}
		}
	}
	if len(r["plain"]["tokend"]) != 1 || r.ratio("plain", "tokend", "tokend", rate) != 1 {
		t.Errorf("got %v", r["plain"]["tokend"])
	}
}

// TestUpstream holds that a state's WeChat answers its daemon's calls, and that these are seen.
func TestUpstream(t *testing.T) {
	c := newComparison(t)
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.newState(t.Context(), "s", 5, address, "-used", "4")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	p, err := c.serve(s)
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	names, err := os.ReadFile(s.names)
	if err != nil || slices.Index(names, '\n') != len(s.first) {
		t.Fatalf("%v: %q", err, names)
	}
	if n := upstreamCalls(p.socket); n != 0 {
		t.Errorf("%d calls for values that are there", n)
	}
	if !p.answers("REFRESH "+s.first+"\n", "OK ") || upstreamCalls(p.socket) != 1 {
		t.Errorf("refreshed: %d calls", upstreamCalls(p.socket))
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", s.upstream.Process.Pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("the threads of WeChat: %v", err)
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(filepath.Base(task))
		if err != nil {
			t.Fatal(err)
		}
		if at, err := unix.Getpriority(unix.PRIO_PROCESS, tid); err == nil && at != 20-wechatNice { // as the kernel says it: 40 to 1
			t.Errorf("a thread of WeChat, of %d, does not give way to the load", len(tasks))
		}
	}
	// One for the platform's own token, one for the customer's.
	if got, err := s.metered(); err != nil || got.total != 2 || got.fastest > 2 || got.atOnce != 1 {
		t.Errorf("WeChat has counted %+v, %v", got, err)
	}
}

// TestDown holds that a server which does not come up says why.
func TestDown(t *testing.T) {
	if runtime.NumCPU() < 2 {
		t.Skip("there is one processor")
	}
	p, err := start(serverCore, "nowhere", "sh", "-c", "echo no such luck >&2; exit 1")
	if err != nil {
		t.Skip(err) // it is another's
	}
	if err := p.answered("PING\n", "OK"); err == nil || err.Error() != p.cmd.Path+" does not answer: no such luck" {
		t.Errorf("got %v", err)
	}
}
