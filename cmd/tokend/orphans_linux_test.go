package main

import (
	"os/exec"
	"syscall"
)

// endsWithTest has the process of cmd killed when the test's own ends, however that ends: a test that runs out of
// time runs no cleanup, and would leave its daemons behind.
func endsWithTest(cmd *exec.Cmd) *exec.Cmd {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return cmd
}
