package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
)

// stranger is a program that another user runs:
//
//	stranger talk SOCKET   sends its standard input to the socket and prints the replies
//	stranger look PID      tries to inspect a process and prints the results
func stranger() {
	if err := strange(os.Args[1], os.Args[2]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func strange(what, at string) error {
	if what == "look" {
		pid, err := strconv.Atoi(at)
		if err != nil {
			return err
		}
		look(pid)
		return nil
	}
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: at, Net: "unix"})
	if err != nil {
		return err
	}
	defer c.Close()
	sent := make(chan error, 1)
	var sender sync.WaitGroup
	sender.Go(func() {
		_, err := io.Copy(c, os.Stdin)
		sent <- errors.Join(err, c.CloseWrite())
	})
	if _, err := io.Copy(os.Stdout, c); err != nil {
		return err // the process ends, and the sender with it
	}
	sender.Wait()
	return <-sent
}

// look prints one line for each way to inspect a process: its name, and "open" or the error.
func look(pid int) {
	say := func(way string, err error) {
		if err == nil {
			fmt.Println(way, "open")
			return
		}
		fmt.Println(way, err)
	}
	for _, way := range []string{"environ", "mem", "maps", "io", "fd", "root", "cwd"} {
		path := fmt.Sprintf("/proc/%d/%s", pid, way)
		f, err := os.Open(path)
		if err == nil {
			_ = f.Close()
		}
		say(way, err)
	}
	runtime.LockOSThread() // ptrace belongs to a thread, not to a process
	err := syscall.PtraceAttach(pid)
	if err == nil {
		var st syscall.WaitStatus
		_, _ = syscall.Wait4(pid, &st, 0, nil)
		_ = syscall.PtraceDetach(pid)
	}
	say("ptrace", err)
}
