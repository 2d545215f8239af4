package web

import (
	"cmp"
	"context"
	"net"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Inbox processes WeChat's pushes. Its methods may be called concurrently. They reject a push with
// a [*credential.Error]: NotFound for an unknown owner, Denied for a wrong signature or receiver,
// Unfit for unreadable content. Any other error means that the push was not stored.
type Inbox interface {
	// Knows reports whether owner ("open_platform/<component_appid>" or "open_work/<suite_id>") has
	// a callback URL here, and whether that URL is verified by a GET.
	Knows(owner string) (known, verified bool)

	// Check cheaply rejects query parameters that no push has: a malformed signature, time or
	// nonce.
	Check(owner, signature, timestamp, nonce string) error

	// Envelope processes the body of a push with its query parameters. When Envelope returns nil,
	// the content of the push is durable. Envelope does not keep body.
	Envelope(ctx context.Context, owner, signature, timestamp, nonce string, body []byte) error

	// Verify returns the answer to WeCom's verification of a callback URL.
	Verify(owner, signature, timestamp, nonce, echo string) ([]byte, error)
}

// Config configures a [Server]. A server has an Inbox, Pages or both.
type Config struct {
	// Inbox receives the pushes. If Inbox is nil, there are no callback URLs.
	Inbox Inbox

	// Pages are the pages by path. They are shown to users that Sees or Admits allows and to the
	// monitors; see [Server.SetMonitors].
	Pages map[string]Page

	// Sees reports whether the user of this host with that uid, the owner of a TCP connection, may
	// see the pages. Nil allows every user. Sees may be called concurrently.
	Sees func(uid uint32) bool

	// Admits reports whether the peer of a connection over a Unix socket may see the pages, and the
	// peer's uid. Nil allows every peer. Admits may be called concurrently.
	Admits func(nc net.Conn) (uid uint32, ok bool, err error)

	// Ready reports whether the daemon can answer its clients. Nil means always. Ready may be
	// called concurrently.
	Ready func() bool

	// Unseen returns a text for clients that may not see the pages, and its language. The text is
	// the same whatever the reason: the clients may be strangers, and the log has the reason. If
	// Unseen is nil, the answer is the status alone.
	Unseen func(ask Ask) (language, text string)

	// Logger receives rejections and faults. Nil disables logging. No content of a push is logged.
	Logger hclog.Logger

	// The following fields are for tests. Zero values select the constants below.
	maxConns                                                           int
	headerTimeout, readTimeout, writeTimeout, idleTimeout, gracePeriod time.Duration
	answerTimeout                                                      time.Duration
}

// maxConns is how many connections may be open at once. WeChat and Prometheus need a few. Each
// takes about 10 KB.
const maxConns = 256

const (
	// headerTimeout is how long a request's header may take to arrive.
	headerTimeout = 3 * time.Second

	// readTimeout is how long a whole request may take to arrive. WeChat gives up after 5 s.
	readTimeout = 5 * time.Second

	// answerTimeout is how long the inbox may take for a complete push. After that the push is
	// answered 503. WeCom waits 1000 ms.
	answerTimeout = 950 * time.Millisecond

	// writeTimeout is the time from the end of the header to the last byte of the answer. It must
	// exceed readTimeout plus answerTimeout.
	writeTimeout = 10 * time.Second

	// idleTimeout is how long a connection may be idle between two requests. A proxy in front of
	// tokend then opens a new one.
	idleTimeout = 30 * time.Second

	// gracePeriod is how long active requests may continue when the server stops: as long as they
	// may take to arrive.
	gracePeriod = 5 * time.Second
)

// complete returns c with defaults in place of zero values.
func (c Config) complete() Config {
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	c.maxConns = cmp.Or(c.maxConns, maxConns)
	c.headerTimeout = cmp.Or(c.headerTimeout, headerTimeout)
	c.readTimeout = cmp.Or(c.readTimeout, readTimeout)
	c.answerTimeout = cmp.Or(c.answerTimeout, answerTimeout)
	c.writeTimeout = cmp.Or(c.writeTimeout, writeTimeout)
	c.idleTimeout = cmp.Or(c.idleTimeout, idleTimeout)
	c.gracePeriod = cmp.Or(c.gracePeriod, gracePeriod)
	return c
}
