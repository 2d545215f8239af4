package server

import (
	"cmp"
	"context"
	"io"
	"net"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/access"
	"tokend/daemon/alias"
	"tokend/daemon/server/socket"
	"tokend/daemon/throttle"
	"tokend/fetchers/secret"
)

// Config configures a [Server]. Engine and Sign are required. The zero value of any other field is
// the default that its comment names.
type Config struct {
	Engine Engine

	// Sign signs a page's url with a ticket, for SIGN. timestamp is in Unix seconds.
	Sign func(ticket secret.Text, nonce string, timestamp int64, url string) string

	// Throttle is the budget of LIST and of the list of a WATCH. Nil delays neither.
	Throttle *throttle.Budget

	// Inbox receives the messages of PUSH. If nil, PUSH is answered NOT_FOUND.
	Inbox Inbox

	// Backup makes a sealed backup of the store, for BACKUP, and returns it with its size in bytes.
	// The server closes it. If ctx ends, Backup stops. Errors are those of [Engine]. If nil, BACKUP
	// is answered NOT_FOUND.
	Backup func(ctx context.Context) (b io.ReadCloser, size int64, err error)

	// Sent, if not nil, is called after a backup was sent completely.
	Sent func()

	// Reload reloads the configuration, for RELOAD. If it returns an error, nothing has changed.
	// The error says what is wrong, in a line without a secret. If nil, RELOAD is answered
	// NOT_FOUND.
	Reload func(ctx context.Context) error

	// Logger gets failed connections, faults, and the audit log under the name "audit". Nil
	// discards them. No value and no ticket is logged.
	Logger hclog.Logger

	// Audit, if not nil, gets the audit log instead of Logger.
	Audit hclog.Logger

	// Version is the daemon's version, for VERSION; "" is shown as "-".
	Version string

	// Rules are the [[access]] rules. Without rules, every user that can open the socket may read.
	Rules []access.Rule

	// Aliases are keys that stand for names in RESP. They must be valid. See [Server.SetAliases].
	Aliases []alias.Alias

	// Subuids is a file in the format of subuid(5), such as /etc/subuid. The limits for each user
	// count the uids of a range as the user that owns the range. The file need not exist; "" is
	// none.
	Subuids string

	// Limits are the limits that an operator can change. See [Server.SetLimits].
	Limits Limits

	// The fields below are for tests. Their zero values are the defaults.

	// peer returns the peer of a connection. If nil, the kernel is asked, which knows the peers of
	// Unix sockets only.
	peer func(net.Conn) (access.Peer, error)

	lineTimeout, writeTimeout, waitTimeout, silentGrace, gracePeriod time.Duration

	// codec returns the codec for a connection's first byte; nil for the protocol's.
	codec func(first byte) codec

	// noLoop serves each connection by a goroutine even if an event loop could serve them.
	noLoop bool
}

// Timeouts of connections.
const (
	// lineTimeout is how long a request may take from its first byte to its last. A request of 64
	// KiB takes a millisecond.
	lineTimeout = 30 * time.Second

	// writeTimeout is how long a peer may read none of its replies before it is closed. A peer that
	// reads a little within each such time may take as long as it likes.
	writeTimeout = 10 * time.Second

	// waitTimeout is how long a request may wait for a fetch before it is answered UNAVAILABLE. It
	// is six times the timeout of a call, and less than the 35 s that clients wait. The fetch
	// continues.
	waitTimeout = 30 * time.Second

	// silentGrace is how long a connection that has sent no request yet may still send one when the
	// server stops. Its peer has usually connected in the same moment, and is about to write.
	silentGrace = 100 * time.Millisecond

	// gracePeriod is how long connections may take to end when the server stops. Systemd waits for
	// 90 s. Calls for rotating credentials may use up most of that.
	gracePeriod = 5 * time.Second
)

// complete returns c with the defaults in place of zero values.
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
	c.silentGrace = cmp.Or(c.silentGrace, silentGrace)
	c.gracePeriod = cmp.Or(c.gracePeriod, gracePeriod)
	return c
}

func (c *Config) peerOf(nc net.Conn) (access.Peer, error) {
	if c.peer == nil {
		return socket.Peer(nc)
	}
	return c.peer(nc)
}
