//go:build !linux

package server

import (
	"context"
	"net"
)

// loop has no event loop to offer where there is no epoll.
func (s *Server) loop(context.Context, func(), net.Listener, *conns, func(func())) carrier {
	return nil
}
