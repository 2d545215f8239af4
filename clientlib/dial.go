package clientlib

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// On Linux, connect fails at once with EAGAIN while the listen queue is full. The queue is full
// until the daemon accepts a few connections. The pauses are short: even if another process
// connects in a loop, one of a few dozen attempts succeeds.
const (
	firstDialPause = time.Millisecond
	lastDialPause  = 8 * time.Millisecond
)

// dial connects within ctx. Its error is [ErrNoDaemon] if nothing listens.
func (c *Client) dial(ctx context.Context) (*conn, error) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	for pause := firstDialPause; ; pause = min(2*pause, lastDialPause) {
		nc, err := c.connect(ctx)
		switch {
		case err == nil:
			return newConn(nc), nil
		case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
			return nil, fmt.Errorf("%w (%w): %s", ErrNoDaemon, err, c.remedy())
		case errors.Is(err, syscall.EACCES):
			return nil, fmt.Errorf("%w: add this program's user to the group of the socket (usermod -aG tokend USER), then restart the program", err)
		case !errors.Is(err, syscall.EAGAIN):
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(pause):
		}
	}
}

// remedy says what to do if no daemon listens. The error of package net names the path.
func (c *Client) remedy() string {
	if c.DialContext != nil {
		return "start tokend"
	}
	return "start it with systemctl start tokend, or set $TOKEND_SOCKET to its path"
}

func (c *Client) connect(ctx context.Context) (net.Conn, error) {
	if c.DialContext != nil {
		return c.DialContext(ctx)
	}
	var d net.Dialer
	return d.DialContext(ctx, "unix", c.socket())
}
