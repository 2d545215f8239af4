//go:build !linux

package server

import (
	"context"
	"net"
)

// loop has no event loop to offer where there is no epoll.
func (s *Server) loop(context.Context, net.Listener, *conns, func(func())) (run func() error, wake func()) {
	return nil, nil
}
