package server

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// A socket's file can be deleted under a daemon that is well: by what cleans up temporary
// directories, by a script, by hand. The socket is open then and nobody finds it. So the file is
// looked at now and then, and made anew.

// lookForFile is how often: for so long, at most, the daemon cannot be found.
const lookForFile = 2 * time.Second

// stand serves ln until ctx ends, or until its file has been deleted and another has been made in
// its place, which g serves then. Connections to the one that was end as they do when the server
// stops.
func (s *Server) stand(ctx context.Context, g *errgroup.Group, ln *listener) error {
	own, replaced := context.WithCancel(ctx)
	defer replaced()
	g.Go(func() error {
		if next := s.replace(own, ln); next != nil {
			g.Go(func() error { return s.stand(ctx, g, next) })
			replaced()
		}
		return nil
	})
	return s.serve(own, ln)
}

// replace waits until the file of ln has been deleted and returns a listener on one that is made in
// its place, with the permissions that it had at last; nil when ctx ends. What stands in its way is
// logged when it is new.
func (s *Server) replace(ctx context.Context, ln *listener) *listener {
	tick := time.NewTicker(lookForFile)
	defer tick.Stop()
	last, said := ln.made, ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, err := os.Lstat(ln.path)
		switch {
		case err == nil && sameSocket(ln.made, now):
			last, said = now, ""
			continue
		case err == nil:
			err = errors.New("something else stands in its place: remove it, and the socket is made anew")
		case errors.Is(err, fs.ErrNotExist):
			var next *listener
			if next, err = again(ln.path, last); err == nil {
				s.log.Error("the socket's file was deleted: it has been made anew; see what deletes it", "socket", ln.path)
				return next
			}
		default:
			err = bare(err)
		}
		if err.Error() != said {
			said = err.Error()
			s.log.Error("the daemon cannot be reached at its socket", "socket", ln.path, "error", said)
		}
	}
}

// again is Listen at path with the mode and the group of the file that was there.
func again(path string, last fs.FileInfo) (*listener, error) {
	ln, err := Listen(path, last.Mode())
	if err != nil {
		return nil, err
	}
	if st, ok := last.Sys().(*syscall.Stat_t); ok {
		// It may not be the daemon's to give: then it is what any new file of the daemon's has.
		_ = os.Lchown(path, -1, int(st.Gid))
	}
	return ln.(*listener), nil
}

// files returns ln if its file is the server's to look after, and nil otherwise.
func files(ln net.Listener) *listener {
	if own, ok := ln.(*listener); ok && own.path != "" {
		return own
	}
	return nil
}
