//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server that runs on its processor.
type process struct {
	cmd    *exec.Cmd
	socket string
	log    bytes.Buffer // written by cmd until stop has returned
	begun  time.Time
}

// start starts a server that will listen at socket, and does not wait for it.
func start(core int, socket, program string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(program, args...), socket: socket}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	// The child has the affinity of the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := affinity(core); err != nil {
		return nil, err
	}
	p.begun = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, affinity(loadCore))
	}
	if err := affinity(loadCore); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// stop ends the server and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(20*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	_ = p.cmd.Wait() // how it ends is not what is measured
}

// first is how long after its start the server gives the first answer that has a beginning. It asks
// each half millisecond: less than is told apart here.
func (p *process) first(request, want string) (time.Duration, error) {
	for time.Since(p.begun) < 2*time.Minute {
		if nc, err := net.Dial("unix", p.socket); err == nil {
			got := make([]byte, 4096)
			_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
			_, werr := nc.Write([]byte(request))
			n, rerr := nc.Read(got)
			_ = nc.Close()
			if werr == nil && rerr == nil && strings.HasPrefix(string(got[:n]), want) {
				return time.Since(p.begun), nil
			}
		}
		if p.cmd.Process.Signal(syscall.Signal(0)) != nil {
			break
		}
		time.Sleep(500 * time.Microsecond)
	}
	return 0, fmt.Errorf("%s does not answer", p.cmd.Path)
}

// cpu returns the CPU time that the server has used, in steps of a hundredth of a second.
func (p *process) cpu() time.Duration {
	b, err := os.ReadFile(p.proc("stat"))
	if err != nil {
		return 0
	}
	// Behind the name, which may hold anything: state is the third field (proc(5)).
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] { // utime, stime
		n, _ := strconv.ParseInt(field, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100)
}

// memory returns what is the server's own, and what is resident, in bytes.
func (p *process) memory() (private, resident int64) {
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

func (p *process) proc(name string) string {
	return fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, name)
}
