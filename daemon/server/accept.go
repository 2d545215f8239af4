package server

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"tokend/daemon/server/descriptors"
)

// Pauses after a failed accept, doubled from the first to the last, as in net/http.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// accepting is the state of an acceptor after failures. When descriptors run out, it uses the
// spares. When these or memory run out, it waits and retries: connections that end free what is
// needed. The failure is logged once, not at each retry. The zero value is ready.
type accepting struct {
	spares *descriptors.Reserve
	pause  time.Duration // the last one
	short  bool          // the failure has been logged
}

// succeeded records that a connection has been accepted and admitted or refused.
func (a *accepting) succeeded() {
	a.pause = 0
	a.short = a.short && !a.spares.Refill()
}

// failed returns how long to wait before the next try after err, and whether to log err.
func (a *accepting) failed(err error) (pause time.Duration, say bool) {
	say, a.short = !a.short, true
	a.spares.Recheck()
	if descriptors.Exhausted(err) && a.spares.Release() {
		return 0, say
	}
	a.pause = min(max(2*a.pause, firstPause), lastPause)
	return a.pause, say
}

// accept passes the connections of ln to admit until ctx ends or ln is closed, which is not an
// error.
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
	s.log.Warn("cannot accept connections, retrying", "error", err)
}

// passing reports whether accept may succeed later after it has failed with err.
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
