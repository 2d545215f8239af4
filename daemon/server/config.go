package server

import (
	"cmp"
	"context"
	"io"
	"net"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/access"
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

	// Backup makes a backup of all that is kept, sealed, and returns it with its size in bytes: the
	// answer to BACKUP. ctx ends the making. The server closes what it is
	// given. Errors are as those of [Engine]. Nil: BACKUP is answered NOT_FOUND.
	Backup func(ctx context.Context) (b io.ReadCloser, size int64, err error)

	// Reload puts the configuration in force as it is now: the answer to RELOAD. Its error says
	// what is wrong with that, in a line without a secret; nothing has changed then. Nil: RELOAD is
	// answered NOT_FOUND.
	Reload func(ctx context.Context) error

	// Logger is where connections that end badly and faults are reported, and, named
	// "audit", who has done or was refused what; nil for nowhere. No value and no ticket
	// ever reaches it.
	Logger hclog.Logger

	// Audit, if not nil, receives what is named "audit" in place of Logger.
	Audit hclog.Logger

	// Version is the daemon's, for VERSION; "" is shown as "-".
	Version string

	// Rules are the [[access]] rules. None: everybody who can open the socket may read.
	Rules []access.Rule

	// Subuids is a file in the form of subuid(5), as /etc/subuid. The uids of a range count as the
	// user that the range belongs to wherever something is limited for each user. It need not
	// exist; "" stands for none.
	Subuids string

	// Peer says who is at the other end of a connection; nil asks the
	// kernel, which answers for Unix sockets only.
	Peer func(net.Conn) (access.Peer, error)

	// MaxConns is how many connections may be open at once; 0 stands for 8192, and what is more
	// than three quarters of the process's descriptors, or all but 24, for those. One user may have
	// as many as are free, and so no more than half; the last sixteenth is for users with few.
	// Further ones are answered BUSY and closed. Those of root and of the daemon's own user are not
	// counted; nor do the limits that follow bind them.
	MaxConns int

	// MaxUserWaits is how many requests of one user may wait for fetches at once; 0 stands for
	// 1024. Further ones are answered BUSY.
	MaxUserWaits int

	// UserRate is how many requests of one user are answered in a second, on all its
	// connections together; 0 stands for 100000. What goes beyond the rate, and beyond what has
	// not been used of the last second's, is slowed: the connection is not read
	// until its turn comes.
	UserRate int

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

	// noLoop makes a goroutine of every connection, where an event loop could serve them: for
	// tests.
	noLoop bool
}

func (c *Config) logger() hclog.Logger {
	if c.Logger == nil {
		return hclog.NewNullLogger()
	}
	return c.Logger
}

func (c *Config) peer(nc net.Conn) (access.Peer, error) {
	if c.Peer == nil {
		return kernelPeer(nc)
	}
	return c.Peer(nc)
}

// 100000 requests are a third of a second of one processor where each is its own read and
// write (3.3 us), and a twentieth where they are pipelined. PHP that connects for each
// request is not able to make as many on a whole machine of two.
func (c *Config) pace() rate {
	n := cmp.Or(c.UserRate, 100_000)
	return rate{each: max(1, time.Second/time.Duration(n)), burst: n}
}

func (c *Config) maxConns() int               { return cmp.Or(c.MaxConns, 8192) }
func (c *Config) maxUserWaits() int           { return cmp.Or(c.MaxUserWaits, 1024) }
func (c *Config) lineTimeout() time.Duration  { return cmp.Or(c.LineTimeout, 30*time.Second) }
func (c *Config) writeTimeout() time.Duration { return cmp.Or(c.WriteTimeout, 10*time.Second) }
func (c *Config) waitTimeout() time.Duration  { return cmp.Or(c.WaitTimeout, 30*time.Second) }
func (c *Config) gracePeriod() time.Duration  { return cmp.Or(c.GracePeriod, 5*time.Second) }
