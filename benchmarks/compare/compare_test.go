//go:build linux

package main

import (
	"bufio"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestTable holds that each row says rightly whether it has been reached.
func TestTable(t *testing.T) {
	var r rows
	r.atLeast("a", 1.4, 1.15, 1.35, "x", "")
	r.atLeast("b", 1.2, 1.15, 1.35, "x", "")
	r.atLeast("c", 1.1, 1.15, 1.35, "x", "")
	r.atMost("d", 0.1, 1, 0.2, " %", "of a core")
	r.atMost("e", 0.2, 1, 0.2, " %", "")
	r.atMost("f", 0, 0, 0, "", "")
	r.atMost("g", 1, 0, 0, "", "")
	r.missing("h", errors.New("one\ntwo\n"))
	var out strings.Builder
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	want := `figure  at least  aim        reached           note
a       >= 1.15x  >= 1.35x   1.40x    aim      
b       >= 1.15x  >= 1.35x   1.20x    pass     
c       >= 1.15x  >= 1.35x   1.10x    short    
d       <= 1 %    <= 0.20 %  0.10 %   aim      of a core
e       <= 1 %    <= 0.20 %  0.20 %   aim      
f       <= 0      <= 0       0        aim      
g       <= 0      <= 0       1        short    
h                                     missing  one; two
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// TestRatio holds that servers are compared turn by turn.
func TestRatio(t *testing.T) {
	r := results{"50": {"a": {{Rate: 100}, {Rate: 10}, {Rate: 300}}, "b": {{Rate: 50}, {Rate: 4}, {Rate: 100}}}}
	if got := r.ratio("50", "a", "b", rate); got != 2.5 {
		t.Errorf("got %v, want 2.5", got)
	}
	if got := r.middle("50", "a", rate); got != 100 {
		t.Errorf("got %v, want 100", got)
	}
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("got %v, want 2.5", got)
	}
	if got := median(nil); got != 0 {
		t.Errorf("got %v of nothing", got)
	}
}

func TestReported(t *testing.T) {
	out := "BenchmarkA-2   1   5 ns/op   1.25 closed/live   1.43 open/live   0 allocs/op\nBenchmarkB-2   1   5 ns/op   2 allocs/op\n"
	for unit, want := range map[string]float64{"open/live": 1.43, "closed/live": 1.25, "allocs/op": 2} {
		if got, err := reported(out, unit); got != want || err != nil {
			t.Errorf("%s: got %v, %v, want %v", unit, got, err, want)
		}
	}
	if _, err := reported(out, "puts/s"); err == nil {
		t.Error("what is not there was found")
	}
}

func TestChoose(t *testing.T) {
	if got, err := choose(""); err != nil || len(got) != len(parts)-1 {
		t.Errorf("got %d, %v, want all but the one that has to be named", len(got), err)
	}
	if got, err := choose("apart"); err != nil || len(got) != 1 || got[0].name != "apart" {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := choose("disk,socket"); err != nil || len(got) != 2 || got[0].name != "disk" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := choose("discs"); err == nil || !strings.Contains(err.Error(), `"discs"`) {
		t.Errorf("got %v", err)
	}
}

// TestProcess holds that what /proc tells is read rightly, of a process that uses CPU and memory.
func TestProcess(t *testing.T) {
	p, err := start(serverCore, t.TempDir()+"/s", "sh", "-c", "while :; do :; done")
	if err != nil {
		t.Skip(err) // there is one processor, or it is another's
	}
	defer p.stop()
	for since := time.Now(); p.cpu() < 20*time.Millisecond; time.Sleep(10 * time.Millisecond) {
		if time.Since(since) > 20*time.Second {
			t.Fatalf("%v of CPU", p.cpu())
		}
	}
	if n := ((&process{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}).wakes()); n == 0 {
		t.Error("this process has never waited")
	}
	if private, resident := p.memory(); private < 4096 || private > resident || resident > 1<<30 {
		t.Errorf("private %d, resident %d", private, resident)
	}
}

func TestStrangers(t *testing.T) {
	if _, err := os.Stat("/etc/passwd"); err != nil {
		t.Skip(err)
	}
	uids, names := strangers(1)
	if len(uids) > 0 && (uids[0] == 0 || !strings.HasPrefix(names[0], `"`)) {
		t.Errorf("got %v, %v", uids, names)
	}
}

// TestFollower holds that what a WATCH tells is counted by name, behind the list that it begins
// with.
func TestFollower(t *testing.T) {
	socket := t.TempDir() + "/s"
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	said := make(chan string, 1)
	go func() { // ends with the connection, which stop closes
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		line, _ := bufio.NewReader(nc).ReadString('\n')
		_, _ = nc.Write([]byte("OK 2\np/a/access_token fresh 9\np/a/refresh_token fresh -\nCHANGED p/a/access_token stale 5\n" +
			"CHANGED p/a/access_token expired -\nCHANGED p/a/access_token fresh 7200\nCHANGED p/a/access_token fresh 7200\n" +
			"CHANGED p/a/refresh_token fresh -\nCHANGED p/b/access_token fresh 7200\n"))
		said <- line
	}()
	f, err := follow(socket, "p/")
	if err != nil {
		t.Fatal(err)
	}
	if got := <-said; got != "WATCH p/\n" {
		t.Errorf("asked %q", got)
	}
	f.running.Wait()
	if refreshed, ended := f.stop(); refreshed != 2 || ended != 1 {
		t.Errorf("%d refreshed and %d ended, want 2 and 1", refreshed, ended)
	}
}
