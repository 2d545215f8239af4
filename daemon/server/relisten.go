package server

import (
	"context"

	"golang.org/x/sync/errgroup"

	"tokend/daemon/server/socket"
)

// serveAgain serves ln until ctx ends, or until the socket file of ln has been deleted and
// recreated. Then g serves the new listener, and connections to the old one end as they do when the
// server stops.
func (s *Server) serveAgain(ctx context.Context, g *errgroup.Group, ln *socket.Listener) error {
	own, replaced := context.WithCancel(ctx)
	defer replaced()
	g.Go(func() error {
		if next := ln.Recreate(own, s.log); next != nil {
			g.Go(func() error { return s.serveAgain(ctx, g, next) })
			replaced()
		}
		return nil
	})
	return s.serve(own, ln)
}
