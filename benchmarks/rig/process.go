//go:build linux

package rig

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a server bound to its processor.
type Process struct {
	cmd    *exec.Cmd
	Socket string
	begun  time.Time
	Took   time.Duration // from exec to the first correct answer
	log    bytes.Buffer  // of cmd; read it after ended is closed
	ended  chan struct{}
}

// Start starts a server that will listen at socket, without waiting for it.
func Start(core int, socket, program string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(program, args...), Socket: socket, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	// The child inherits the affinity of the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := Affinity(core); err != nil {
		return nil, err
	}
	p.begun = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, Affinity(LoadCore))
	}
	go func() { // Stop waits for it
		defer close(p.ended)
		_ = p.cmd.Wait() // the exit status does not matter
	}()
	if err := Affinity(LoadCore); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// Stop ends the server and waits for it.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(20*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	<-p.ended
}

// Answered waits for the first answer that begins with want. It retries every half millisecond,
// which is more exact than the results need. If there is none, it stops the server and returns the
// server's output in the error.
func (p *Process) Answered(request, want string) error {
	limit := time.NewTimer(3 * time.Minute)
	defer limit.Stop()
	for {
		if p.Answers(request, want) {
			p.Took = time.Since(p.begun)
			return nil
		}
		select {
		case <-time.After(500 * time.Microsecond):
			continue
		case <-limit.C:
		case <-p.ended:
		}
		p.Stop()
		return fmt.Errorf("%s does not answer: %s", p.cmd.Path, bytes.TrimSpace(p.log.Bytes()))
	}
}

// Answers sends one request.
func (p *Process) Answers(request, want string) bool {
	nc, err := net.Dial("unix", p.Socket)
	if err != nil {
		return false
	}
	defer nc.Close()
	got := make([]byte, 4096)
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second)) // fails only on a closed connection
	if _, err := nc.Write([]byte(request)); err != nil {
		return false
	}
	n, err := nc.Read(got)
	return err == nil && strings.HasPrefix(string(got[:n]), want)
}

// Loaded waits until a running tokend has loaded its store: LIST waits for that.
func (p *Process) Loaded() error {
	nc, err := net.Dial("unix", p.Socket)
	if err != nil {
		return err
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	got := make([]byte, 64)
	if _, err := nc.Write([]byte("LIST none\n")); err != nil {
		return err
	}
	n, err := nc.Read(got)
	if err == nil && string(got[:n]) != "OK 0\n" {
		err = fmt.Errorf("LIST none was answered %q", got[:n])
	}
	return err
}

// Wakes returns how often the server's threads have waited, and so have been woken.
func (p *Process) Wakes() (n int64) {
	files, err := filepath.Glob(p.proc("task/*/status"))
	if err != nil {
		return 0
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		for line := range strings.Lines(string(text)) {
			if count, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				one, _ := strconv.ParseInt(strings.TrimSpace(count), 10, 64)
				n += one
			}
		}
	}
	return n
}

// CPU returns the CPU time of all the server's threads, including those that have ended. The kernel
// counts it in nanoseconds. /proc has hundredths of a second, which is too coarse here.
func (p *Process) CPU() time.Duration {
	var t unix.Timespec
	// The clock of a process: its complemented id above CPUCLOCK_SCHED (clock_getcpuclockid(3)).
	const sched = 2
	if err := unix.ClockGettime(int32(^p.cmd.Process.Pid<<3|sched), &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// Memory returns the server's private and resident memory in bytes.
func (p *Process) Memory() (private, resident int64) {
	b, err := os.ReadFile(p.proc("smaps_rollup"))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(b)) {
		key, rest, _ := strings.Cut(line, ":")
		kB, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			continue
		}
		switch key {
		case "Private_Clean", "Private_Dirty":
			private += kB << 10
		case "Rss":
			resident = kB << 10
		}
	}
	return private, resident
}

func (p *Process) proc(name string) string {
	return fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, name)
}
