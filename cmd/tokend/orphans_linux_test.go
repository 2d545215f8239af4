package main

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// endsWithTest has the process of cmd killed when the test's own ends, however that ends: a test
// that runs out of time runs no cleanup, and would leave its daemons behind. Linux kills it already
// when the thread that starts it ends: see startWithTest.
func endsWithTest(cmd *exec.Cmd) *exec.Cmd {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return cmd
}

// starter runs functions on a thread that lasts as long as the process. Any other may end: that of
// a goroutine which has been locked to its thread ends with the goroutine, and nobody knows who has
// started what there before.
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
