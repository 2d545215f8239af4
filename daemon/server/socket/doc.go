// Package socket makes the Unix socket that a server listens on. It binds the socket with the right
// permissions from the first moment, or adopts a socket that systemd has bound. It replaces a
// socket file that a killed daemon left, and creates a deleted one again. It knows nothing of
// connections, users or the protocol.
package socket
