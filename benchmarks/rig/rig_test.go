//go:build linux

package rig

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestTable holds that each row shows the right verdict.
func TestTable(t *testing.T) {
	var r Rows
	r.AtLeast("a", 1.4, 1.15, 1.35, "x", "")
	r.AtLeast("b", 1.2, 1.15, 1.35, "x", "")
	r.AtLeast("c", 1.1, 1.15, 1.35, "x", "")
	r.AtMost("d", 0.1, 1, 0.2, " %", "of a core")
	r.AtMost("e", 0.2, 1, 0.2, " %", "")
	r.AtMost("f", 0, 0, 0, "", "")
	r.AtMost("g", 1, 0, 0, "", "")
	r.Missing("h", errors.New("one\ntwo\n"))
	var out strings.Builder
	if err := r.Print(&out); err != nil {
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

// TestProcess checks the readers of /proc with a process that uses CPU and memory.
func TestProcess(t *testing.T) {
	p, err := Start(ServerCore, t.TempDir()+"/s", "sh", "-c", "while :; do :; done")
	if err != nil {
		t.Skip(err) // one processor, or not permitted
	}
	defer p.Stop()
	for since := time.Now(); p.CPU() < 20*time.Millisecond; time.Sleep(10 * time.Millisecond) {
		if time.Since(since) > 20*time.Second {
			t.Fatalf("%v of CPU", p.CPU())
		}
	}
	if n := ((&Process{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}).Wakes()); n == 0 {
		t.Error("this process has never waited")
	}
	if private, resident := p.Memory(); private < 4096 || private > resident || resident > 1<<30 {
		t.Errorf("private %d, resident %d", private, resident)
	}
}

// TestDown holds that the error of a server that does not start contains its output.
func TestDown(t *testing.T) {
	if runtime.NumCPU() < 2 {
		t.Skip("needs two processors")
	}
	p, err := Start(ServerCore, "nowhere", "sh", "-c", "echo no such luck >&2; exit 1")
	if err != nil {
		t.Skip(err) // not permitted
	}
	if err := p.Answered("PING\n", "OK"); err == nil || err.Error() != p.cmd.Path+" does not answer: no such luck" {
		t.Errorf("got %v", err)
	}
}
