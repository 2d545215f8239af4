package server

import (
	"cmp"
	"context"
	"io"
	"net"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/access"
	"tokend/daemon/server/socket"
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

	// Limits are those that an operator may change. See [Server.SetLimits].
	Limits Limits

	// What follows is for tests: the zero values are what a daemon has.

	// peer says who is at the other end of a connection; nil asks the kernel, which answers for
	// Unix sockets only.
	peer func(net.Conn) (access.Peer, error)

	lineTimeout, writeTimeout, waitTimeout, gracePeriod time.Duration

	// codec returns the codec for a connection's first byte; nil for the protocol's.
	codec func(first byte) codec

	// noLoop makes a goroutine of every connection, where an event loop could serve them.
	noLoop bool
}

// How long a connection may take, if nothing is the matter with its peer.
const (
	// lineTimeout is how long a request that has been begun may take to arrive whole. A line of
	// 64 KiB takes a millisecond.
	lineTimeout = 30 * time.Second

	// writeTimeout is how long a peer may read nothing at all of what it is being sent before it is
	// taken to have stopped reading. One that reads a little in every such span may take as long as
	// it likes.
	writeTimeout = 10 * time.Second

	// waitTimeout is how long a request may wait for a fetch before it is answered UNAVAILABLE: six
	// times the timeout of a call, and less than clients wait, 35 s. The fetch goes on.
	waitTimeout = 30 * time.Second

	// gracePeriod is how long connections may take to end when the server is stopped. Systemd waits
	// for 90 s, of which calls of rotating credentials may use up most.
	gracePeriod = 5 * time.Second
)

// complete returns c with what a daemon has in place of zero values.
func (c Config) complete() Config {
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.Audit == nil {
		c.Audit = c.Logger
	}
	c.lineTimeout = cmp.Or(c.lineTimeout, lineTimeout)
	c.writeTimeout = cmp.Or(c.writeTimeout, writeTimeout)
	c.waitTimeout = cmp.Or(c.waitTimeout, waitTimeout)
	c.gracePeriod = cmp.Or(c.gracePeriod, gracePeriod)
	return c
}

func (c *Config) peerOf(nc net.Conn) (access.Peer, error) {
	if c.peer == nil {
		return socket.Peer(nc)
	}
	return c.peer(nc)
}
