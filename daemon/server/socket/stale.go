package socket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

// ErrRunning reports that another daemon answers at the path. Nothing has been changed.
var ErrRunning = errors.New("already running")

// dialTimeout bounds the connection that tests whether a daemon is alive. A full backlog fails at
// once, so only a hung kernel takes longer.
const dialTimeout = 2 * time.Second

// Vacant returns the error that [Listen] would return because of what is at path, nil for none. It
// changes nothing.
func Vacant(path string) error {
	if len(path) > maxPath {
		return tooLong(path)
	}
	if _, err := stale(path); err != nil {
		return fmt.Errorf("socket %s: %w", path, err)
	}
	return nil
}

// stale returns the socket file at path if it has no listener. It returns nil if nothing is at
// path, and an error otherwise.
func stale(path string) (fs.FileInfo, error) {
	found, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, withoutPath(err)
	case found.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("is not a socket; it is left as it is")
	}
	switch err := probe(path); {
	case err == nil:
		return nil, ErrRunning
	case errors.Is(err, syscall.ECONNREFUSED): // a file without a listener
		return found, nil
	case errors.Is(err, fs.ErrNotExist): // its owner removed it just now
		return nil, nil
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, os.ErrDeadlineExceeded):
		return nil, ErrRunning // a listener that is too busy to accept
	default:
		return nil, fmt.Errorf("cannot tell whether a daemon is at it, so it is left as it is: %w", withoutPath(err))
	}
}

// removeStale removes the socket file at path if it has no listener. It returns nil if nothing is
// left at path.
func removeStale(path string) error {
	found, err := stale(path)
	if err != nil || found == nil {
		return err
	}
	// Another daemon may have made its own socket since: that one is not stale.
	if now, err := os.Lstat(path); err == nil && !same(found, now) {
		return ErrRunning
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("stale, but cannot be removed: %w", withoutPath(err))
	}
	return nil
}

// probe connects to path and closes the connection at once.
func probe(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return err
	}
	return nc.Close()
}
