package server

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"tokend/daemon/server/socket"
)

// lookAfter is how long a brief job may take before the conn watches for a peer that closes. It is
// longer than a healthy disk takes, and too short for a person to notice.
const lookAfter = 10 * time.Millisecond

// lastWords is how many bytes are read of a request that ends a watch, such as QUIT. If they stayed
// unread, close would reset the connection, and the peer could not read the last reply.
const lastWords = 512

// lookOut calls end with errGone when the peer closes. For a last job and for a job that yields it
// calls end with errInput when the peer sends anything. For a brief job it starts after lookAfter.
// Bytes that arrive are buffered, as far as the buffer is free. The caller calls stop before it
// uses the connection's reading side again.
func (c *conn) lookOut(end func(cause error), j job) (stop func()) {
	var wg sync.WaitGroup
	c.setReadDeadline(time.Time{})
	look := func() {
		if cause := c.readToEnd(j); cause != nil {
			end(cause)
		}
	}
	notYet := func() bool { return false } // reports whether look has not begun, and cancels it
	if j.brief {
		wg.Add(1)
		notYet = time.AfterFunc(lookAfter, func() {
			defer wg.Done()
			look()
		}).Stop
	} else {
		wg.Go(look)
	}
	return func() {
		if !notYet() {
			c.setReadDeadline(longAgo)
			wg.Wait()
			c.setReadDeadline(time.Time{})
		}
		c.deadline = noDeadline
	}
}

// readToEnd reads until the peer has closed, or sends what ends j, and returns errGone or errInput.
// It returns nil when the read deadline passes, and if it cannot know.
func (c *conn) readToEnd(j job) error {
	last := j.last
	for c.readErr == nil {
		if (last || j.yields) && c.in.len() > 0 {
			return errInput
		}
		buf := c.in.spare()
		if len(buf) == 0 && j.yields {
			buf = c.in.free()
		}
		if len(buf) == 0 && last {
			buf = make([]byte, lastWords) // any byte ends the session
		}
		if len(buf) == 0 {
			break // the rest stays in the kernel until the job has ended
		}
		n, err := c.nc.Read(buf)
		if last && n > 0 {
			return errInput
		}
		c.in.add(n)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		c.readErr = err
	}
	gone := c.readErr != nil // without the following, a connection cannot be half-closed
	switch nc := c.nc.(type) {
	case interface{ AwaitHangup() bool }:
		gone = nc.AwaitHangup()
	case syscall.Conn:
		gone = socket.AwaitHangup(nc)
	}
	switch {
	case !gone:
		return nil
	case j.yields && c.in.len() > 0:
		return errInput
	}
	return errGone
}
