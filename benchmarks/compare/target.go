//go:build linux

package main

import (
	"fmt"

	"tokend/benchmarks/rig"
)

// startEcho starts the echo, with replies as long as tokend's.
func (c *comparison) startEcho() (*rig.Process, error) {
	if c.echo == "" {
		return nil, fmt.Errorf("no C compiler is installed")
	}
	socket := c.Path("echo.sock")
	p, err := rig.Start(rig.ServerCore, socket, c.echo, socket, fmt.Sprint(len("OK 7000 ")+rig.Size+1))
	if err != nil {
		return nil, err
	}
	return p, p.Answered("GET\n", "OK ")
}
