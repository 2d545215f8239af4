// Package socket makes the Unix socket that a server listens on: it binds the socket with the
// right permissions from the first moment, replaces a socket file that a killed daemon left,
// adopts a socket that systemd has bound, and creates a deleted socket file again. It knows
// nothing of connections, users or the protocol.
package socket
