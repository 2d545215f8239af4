package server

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"
)

// Pauses after a failed accept, as in net/http: doubled from the first to the last.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// accept hands the connections of ln to admit until ctx ends or ln is closed, which is
// no error. When descriptors run out it goes on with the spares; when those have run out, or memory
// has, it waits and tries again: the connections that are open go on, and their ends make
// room. It says so once, not at each try.
func (s *Server) accept(ctx context.Context, ln net.Listener, spares *spares, admit func(net.Conn)) error {
	pause := time.Duration(0)
	short := false // it has been said that there are too few of something
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			pause = 0
			admit(nc)
			short = short && !spares.refill()
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return nil
		case !passing(err):
			return err
		default:
			if !short {
				s.log.Warn("cannot accept connections, trying again", "error", err)
				short = true
			}
			if exhausted(err) && spares.release() {
				continue
			}
			pause = min(max(2*pause, firstPause), lastPause)
			if !sleep(ctx, pause) {
				return nil
			}
		}
	}
}

// passing reports whether an accept that failed with err may succeed later.
func passing(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// sleep waits for d and reports whether ctx lasted as long.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
