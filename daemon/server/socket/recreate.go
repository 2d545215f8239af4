package socket

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
)

// checkEvery is the time between two checks of the socket file: clients cannot find the daemon for
// that long, at most.
const checkEvery = 2 * time.Second

// Removable reports whether l has a socket file that somebody may delete while the daemon is
// running: [Listen] made it. A cleaner of temporary directories, a script or an operator may do so.
func (l *Listener) Removable() bool { return l != nil && l.path != "" }

// Recreate waits until the socket file of l, which is [Listener.Removable], has been deleted. Then
// it returns a listener on a new file, with the permissions and the group of the deleted one. It
// returns nil when ctx ends. It logs a new reason why it cannot create the file once.
func (l *Listener) Recreate(ctx context.Context, log hclog.Logger) *Listener {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	last, logged := l.made, ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, err := os.Lstat(l.path)
		switch {
		case err == nil && same(l.made, now):
			last, logged = now, ""
			continue
		case err == nil:
			err = errors.New("another file is in its place: remove that, and the socket file is created again")
		case errors.Is(err, fs.ErrNotExist):
			var next *Listener
			if next, err = listenLike(l.path, last); err == nil {
				log.Error("socket file was deleted and has been recreated", "socket", l.path)
				return next
			}
		default:
			err = withoutPath(err)
		}
		if err.Error() != logged {
			logged = err.Error()
			log.Error("clients cannot reach the daemon at its socket", "socket", l.path, "error", logged)
		}
	}
}

// listenLike is Listen at path with the mode and the group of the file last.
func listenLike(path string, last fs.FileInfo) (*Listener, error) {
	ln, err := Listen(path, last.Mode())
	if err != nil {
		return nil, err
	}
	if st, ok := last.Sys().(*syscall.Stat_t); ok {
		// The daemon may not be a member of the group. Then the file has the daemon's own.
		_ = os.Lchown(path, -1, int(st.Gid))
	}
	return ln, nil
}
