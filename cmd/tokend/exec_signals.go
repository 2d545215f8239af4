package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// relay forwards the signals of this process to a command.
type relay struct {
	signals chan os.Signal
	tty     *os.File // the controlling terminal, or nil
}

// begin holds signals back until forward. end undoes it.
func (r *relay) begin() {
	r.signals = make(chan os.Signal, 64)
	r.tty, _ = os.Open("/dev/tty") // fails without a controlling terminal
	for sig := syscall.Signal(1); sig <= lastSignal; sig++ {
		// A command that nohup starts ignores SIGHUP, also under tokend.
		if forwarded(sig) && !signal.Ignored(sig) {
			signal.Notify(r.signals, sig)
		}
	}
}

func (r *relay) end() {
	signal.Stop(r.signals)
	if r.tty != nil {
		_ = r.tty.Close() // nothing was written
	}
}

// lastSignal is the last real-time signal of Linux.
const lastSignal = 64

// forwarded reports whether sig is meant for the command. The others are about this process itself:
// its own faults, its children, its terminal output, and those of the runtime and of threads.
func forwarded(sig syscall.Signal) bool {
	switch sig {
	case unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD, unix.SIGURG, unix.SIGPIPE, unix.SIGPROF, unix.SIGTTIN, unix.SIGTTOU,
		unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGSYS, 32, 33:
		return false
	}
	return true
}

// together is how far apart signals may arrive that were sent in another order. Go's runtime passes
// on those that arrived at the same time by number: on Linux, SIGCONT always comes before SIGTSTP.
const together = time.Second

// forward forwards signals to p until it has ended. Whether a SIGTSTP just after a SIGCONT was sent
// before it or after it cannot be known, so another SIGCONT follows: to run although it was to stop
// does a command less harm than to be stopped for ever, where SIGTERM does not end it.
func (r *relay) forward(p interface{ Signal(os.Signal) error }, ended <-chan struct{}) {
	var continued time.Time // when the last SIGCONT arrived
	for {
		select {
		case <-ended:
			return
		case sig := <-r.signals:
			if r.sentByTerminal(sig) {
				if sig == unix.SIGTSTP {
					_ = unix.Kill(unix.Getpid(), unix.SIGSTOP) // as the command has, so that the shell takes over
				}
				continue
			}
			_ = p.Signal(sig) // fails only if p has just ended
			switch {
			case sig == unix.SIGCONT:
				continued = time.Now()
			case sig == unix.SIGTSTP && time.Since(continued) < together:
				_ = p.Signal(unix.SIGCONT)
			}
		}
	}
}

// sentByTerminal reports whether the command has received sig too, from the terminal, which signals
// all processes of its foreground group. A second Ctrl-C stops many programs at once.
func (r *relay) sentByTerminal(sig os.Signal) bool {
	switch sig {
	case unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP, unix.SIGWINCH:
	default:
		return false
	}
	if r.tty == nil {
		return false
	}
	group, err := unix.IoctlGetInt(int(r.tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
