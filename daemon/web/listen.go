package web

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Listen binds addr, a host and a port. Its errors name what to check.
func Listen(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	switch {
	case err == nil:
		return ln, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("address in use: %s", addr)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("no permission to listen on %s: ports below 1024 require privileges", addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("not an address of this host: %s", addr)
	}
	return nil, err
}
