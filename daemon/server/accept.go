package server

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"tokend/daemon/server/descriptors"
)

// Pauses after a failed accept, as in net/http: doubled from the first to the last.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// accepting is what one who accepts connections remembers of how that went. When descriptors run
// out it goes on with the spares; when those have run out, or memory has, it waits and tries again:
// the connections that are open go on, and their ends make room. It says so once, not at each try.
// The zero value is ready.
type accepting struct {
	spares *descriptors.Reserve
	pause  time.Duration // the last one
	short  bool          // it has been said that there are too few of something
}

// succeeded takes note that a connection has been accepted, and been judged.
func (a *accepting) succeeded() {
	a.pause = 0
	a.short = a.short && !a.spares.Refill()
}

// failed returns how long to wait before trying again after err, and whether the log has to be told
// of it.
func (a *accepting) failed(err error) (pause time.Duration, say bool) {
	say, a.short = !a.short, true
	a.spares.Recheck()
	if descriptors.Exhausted(err) && a.spares.Release() {
		return 0, say
	}
	a.pause = min(max(2*a.pause, firstPause), lastPause)
	return a.pause, say
}

// accept hands the connections of ln to admit until ctx ends or ln is closed, which is
// no error.
func (s *Server) accept(ctx context.Context, ln net.Listener, spares *descriptors.Reserve, admit func(net.Conn)) error {
	how := accepting{spares: spares}
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			admit(nc)
			how.succeeded()
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return nil
		case !passing(err):
			return err
		default:
			pause, say := how.failed(err)
			if say {
				s.cannotAccept(err)
			}
			if !sleep(ctx, pause) {
				return nil
			}
		}
	}
}

func (s *Server) cannotAccept(err error) {
	s.log.Warn("cannot accept connections, trying again", "error", err)
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
	if d == 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
