package socket

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
)

// maxPath is the size in bytes of sockaddr_un.sun_path on Linux without the final NUL (unix(7)).
const maxPath = 107

// Listener is a listening Unix socket. Make one with [Listen] or [Adopt].
type Listener struct {
	*net.UnixListener
	path     string      // "" for an adopted one
	made     fs.FileInfo // the file as Listen made it; nil before, and for an adopted one
	released bool        // the UnixListener is closed, its user has a descriptor of its own
	once     sync.Once
	err      error // of the first Close
}

// Listen makes the socket at path. It has exactly the permissions mode from the first moment at
// which anyone could connect. A socket file without a listener is replaced: a killed daemon left
// it. Anything else at path is left untouched, and is an error: [ErrRunning] where a daemon
// answers.
//
// Closing the listener removes the socket file, if it is still the file that Listen made.
func Listen(path string, mode fs.FileMode) (*Listener, error) {
	if len(path) > maxPath {
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
		return nil, fmt.Errorf("socket %s: %w", path, withoutPath(err))
	}
	ln.SetUnlinkOnClose(false) // it would remove a successor's file
	l := &Listener{UnixListener: ln, path: path}
	// The umask may have cleared bits of mode. Setting them now is safe. Clearing bits now would be
	// too late, which is why bind does that.
	if err := os.Chmod(path, mode.Perm()); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("socket %s: %w", path, withoutPath(err))
	}
	if l.made, err = os.Lstat(path); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("socket %s: %w", path, withoutPath(err))
	}
	return l, nil
}

// Adopt returns a [Listener] on a socket that another program has bound, such as systemd. Closing
// it closes ln and leaves the socket file alone. A listener on anything but a Unix socket is
// returned unchanged.
func Adopt(ln net.Listener) net.Listener {
	unix, ok := ln.(*net.UnixListener)
	if !ok {
		return ln
	}
	unix.SetUnlinkOnClose(false)
	if raw, err := unix.SyscallConn(); err == nil {
		_ = raw.Control(refuseDescriptors)
	}
	return &Listener{UnixListener: unix}
}

// Close stops listening and removes the socket file that Listen made. It may be called more than
// once.
func (l *Listener) Close() error {
	l.once.Do(func() {
		// The file is removed first: a socket file without a listener looks like a crashed daemon.
		l.err = l.remove()
		if !l.released {
			l.err = errors.Join(l.err, l.UnixListener.Close())
		}
	})
	return l.err
}

// remove removes the socket file, if it is the file that Listen made.
func (l *Listener) remove() error {
	if l.path == "" {
		return nil
	}
	now, err := os.Lstat(l.path)
	if err == nil && (l.made == nil || same(l.made, now)) {
		err = os.Remove(l.path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// same reports whether a and b are one file. A file system may reuse a removed socket's inode
// number at once; the modification times of the two differ.
func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime())
}

func tooLong(path string) error {
	return fmt.Errorf("socket %s: the path has %d bytes; the system allows %d", path, len(path), maxPath)
}

// withoutPath returns the cause of err. The caller's message has the path already.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
