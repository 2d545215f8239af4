package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// ErrRunning says that another daemon answers at the socket's path. Nothing has been
// touched.
var ErrRunning = errors.New("already running")

// maxSocketPath is the room in sockaddr_un.sun_path on Linux, less the
// terminating NUL (unix(7)).
const maxSocketPath = 107

// dialTimeout is how long a daemon may take to accept the connection that finds out
// whether it lives. A full backlog fails at once, so only a wedged kernel waits.
const dialTimeout = 2 * time.Second

// Listen makes the socket at path, with exactly the permissions mode from the first
// moment at which anyone could connect. A socket file that nobody listens at (left by a
// daemon that was killed) is replaced; anything else at path is left
// untouched, and is an error: [ErrRunning] where a daemon answers.
//
// Closing the listener removes the socket file, if it is still the one that Listen made.
// A listener inherited from systemd is not made here, and its file is systemd's.
func Listen(path string, mode fs.FileMode) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, tooLong(path)
	}
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	ln, err := bind(path, mode.Perm())
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("socket %s: there is no directory %s", path, filepath.Dir(path))
		}
		return nil, fmt.Errorf("socket %s: %w", path, bare(err))
	}
	ln.SetUnlinkOnClose(false) // it would remove the file of whoever came after
	l := &listener{UnixListener: ln, path: path}
	// A umask may have taken away bits that mode grants. Adding them now is no risk; taking bits
	// away now would be too late, which is why bind does that.
	if err := os.Chmod(path, mode.Perm()); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("socket %s: %w", path, bare(err))
	}
	if l.made, err = os.Lstat(path); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("socket %s: %w", path, bare(err))
	}
	return l, nil
}

// Vacant returns nil if Listen may have path, and otherwise the error that Listen would
// return. It changes nothing: who has other reasons to give up finds them out first.
func Vacant(path string) error {
	if len(path) > maxSocketPath {
		return tooLong(path)
	}
	if _, err := stale(path); err != nil {
		return fmt.Errorf("socket %s: %w", path, err)
	}
	return nil
}

func tooLong(path string) error {
	return fmt.Errorf("socket %s: the path has %d bytes; the system allows %d", path, len(path), maxSocketPath)
}

// stale returns the socket file at path if nobody listens at it, nil if there is nothing at path,
// and else an error.
func stale(path string) (fs.FileInfo, error) {
	found, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, bare(err)
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
		return nil, ErrRunning // somebody listens who is too busy to accept
	default:
		return nil, fmt.Errorf("cannot tell whether a daemon is at it, so it is left as it is: %w", bare(err))
	}
}

// removeStale removes the socket file at path that nobody listens at. It returns nil
// if there is nothing at path when it is done.
func removeStale(path string) error {
	found, err := stale(path)
	if err != nil || found == nil {
		return err
	}
	// Another daemon may have made its own socket since: that one is not stale.
	if now, err := os.Lstat(path); err == nil && !sameSocket(found, now) {
		return ErrRunning
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("stale, but cannot be removed: %w", bare(err))
	}
	return nil
}

// bare returns err without the path, which whoever reports it names once.
func bare(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// probe connects to path and hangs up at once.
func probe(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return err
	}
	return nc.Close()
}

// listener removes its socket file when it is closed.
type listener struct {
	*net.UnixListener
	path  string      // "" for one whose file is somebody else's
	made  fs.FileInfo // the file as Listen made it; nil until it has
	taken bool        // the UnixListener is closed: an event loop has the socket
	once  sync.Once
	err   error
}

// Adopt returns ln, which somebody else has bound, as a listener that Serve serves at its best.
// Closing it closes ln and leaves the socket's file alone. What is not a Unix socket it returns as
// it is.
func Adopt(ln net.Listener) net.Listener {
	unix, ok := ln.(*net.UnixListener)
	if !ok {
		return ln
	}
	unix.SetUnlinkOnClose(false)
	if raw, err := unix.SyscallConn(); err == nil {
		_ = raw.Control(takeNoDescriptors)
	}
	return &listener{UnixListener: unix}
}

// Close stops listening and removes the socket file. It may be called more than
// once.
func (l *listener) Close() error {
	l.once.Do(func() {
		// The file goes first: who finds it still there while nobody accepts any more
		// would take the daemon for a crashed one.
		l.err = l.remove()
		if !l.taken {
			l.err = errors.Join(l.err, l.UnixListener.Close())
		}
	})
	return l.err
}

// remove removes the socket file, if it is the one that Listen made.
func (l *listener) remove() error {
	if l.path == "" {
		return nil
	}
	now, err := os.Lstat(l.path)
	if err == nil && (l.made == nil || sameSocket(l.made, now)) {
		err = os.Remove(l.path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// sameSocket reports whether a and b are one file. A file system may give a removed
// socket's number to the next one at once; the time of making tells those apart.
func sameSocket(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime())
}
