package main

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// endsWithTest makes the kernel kill the process of cmd when the test's process ends, however it
// ends: a test that times out runs no cleanup. Linux kills the process already when the thread that
// started it ends; see startWithTest.
func endsWithTest(cmd *exec.Cmd) *exec.Cmd {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return cmd
}

// starter runs functions on a thread that lives as long as the process. Other threads may end: a
// goroutine that is locked to its thread ends the thread with itself, and with it the processes
// started there.
var starter = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// startWithTest starts cmd, which ends with the test's process and not before.
func startWithTest(cmd *exec.Cmd) error {
	done := make(chan error)
	starter() <- func() { done <- endsWithTest(cmd).Start() }
	return <-done
}
