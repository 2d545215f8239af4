package server

import (
	"cmp"
	"net"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/fetchers/secret"
)

// Config is what a [Server] is made of. Engine and Sign are needed; every other
// field's zero value is the default that it names.
type Config struct {
	Engine Engine

	// Sign makes the signature of a page's url with a ticket: the answer to
	// SIGN. timestamp is in Unix seconds.
	Sign func(ticket secret.Text, nonce string, timestamp int64, url string) string

	// Inbox receives what PUSH passes on; nil has no owner at all, and PUSH is
	// answered NOT_FOUND.
	Inbox Inbox

	// Logger is where connections that end badly and faults are reported; nil for
	// nowhere. No value and no ticket ever reaches it.
	Logger hclog.Logger

	// Version is the daemon's, for VERSION; "" is shown as "-".
	Version string

	// Rules are the [[access]] rules. None: everybody who can open the socket may read.
	Rules []Rule

	// Peer says who is at the other end of a connection; nil asks the
	// kernel, which answers for Unix sockets only.
	Peer func(net.Conn) (Peer, error)

	// MaxConns is how many connections may be open at once; 0 stands for 4096.
	// Further ones are answered BUSY and closed.
	MaxConns int

	// IdleTimeout closes a connection on which nothing has been asked for so
	// long; 0 stands for never. A process that dies is noticed at once without
	// it, since the kernel closes its sockets.
	IdleTimeout time.Duration

	// LineTimeout is how long a request that has been begun may take to arrive
	// whole; 0 stands for 30 s.
	LineTimeout time.Duration

	// WriteTimeout is how long a peer may read nothing at all of what it is being sent before
	// it is taken to have stopped reading; 0 stands for 10 s. One that reads a little
	// in every such span may take as long as it likes.
	WriteTimeout time.Duration

	// WaitTimeout is how long a request may wait for a fetch before it is
	// answered UNAVAILABLE; 0 stands for 30 s. The fetch goes on.
	WaitTimeout time.Duration

	// GracePeriod is how long connections may take to end when the server is
	// stopped; 0 stands for 5 s.
	GracePeriod time.Duration
}

func (c *Config) logger() hclog.Logger {
	if c.Logger == nil {
		return hclog.NewNullLogger()
	}
	return c.Logger
}

func (c *Config) peer(nc net.Conn) (Peer, error) {
	if c.Peer == nil {
		return kernelPeer(nc)
	}
	return c.Peer(nc)
}

func (c *Config) maxConns() int64             { return int64(cmp.Or(c.MaxConns, 4096)) }
func (c *Config) lineTimeout() time.Duration  { return cmp.Or(c.LineTimeout, 30*time.Second) }
func (c *Config) writeTimeout() time.Duration { return cmp.Or(c.WriteTimeout, 10*time.Second) }
func (c *Config) waitTimeout() time.Duration  { return cmp.Or(c.WaitTimeout, 30*time.Second) }
func (c *Config) gracePeriod() time.Duration  { return cmp.Or(c.GracePeriod, 5*time.Second) }
