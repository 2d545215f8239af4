//go:build !linux

package main

import "os/exec"

func endsWithTest(cmd *exec.Cmd) *exec.Cmd { return cmd }

func startWithTest(cmd *exec.Cmd) error { return cmd.Start() }
