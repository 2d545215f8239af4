package web

import (
	"cmp"
	"context"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Inbox takes what WeChat pushes. Its methods may be called concurrently. What they refuse is
// a [*refresh.Error]: NotFound for an owner that is not there, Denied for a wrong signature or
// receiver, Unfit for what cannot be read. Any other error means that the push
// was not kept.
type Inbox interface {
	// Knows reports whether owner ("open_platform/<component_appid>" or
	// "open_work/<suite_id>") has an address here, and whether that address is verified by a GET.
	Knows(owner string) (known, verified bool)

	// Check refuses, at next to no cost, the fields of a query that no push has: a malformed
	// signature, time or nonce.
	Check(signature, timestamp, nonce string) error

	// Envelope takes the body of a push with the fields of its query. When it returns nil, what
	// was pushed is durable. It does not keep body.
	Envelope(ctx context.Context, owner, signature, timestamp, nonce string, body []byte) error

	// Verify returns what WeCom's verification of an address is to be answered with.
	Verify(owner, signature, timestamp, nonce, echo string) ([]byte, error)
}

// Config is what a [Server] is made of. Inbox is needed.
type Config struct {
	Inbox Inbox

	// Pages are what is to be seen of the daemon, by path. They are shown to whom Sees and the
	// monitors allow it; see [Server.SetMonitors].
	Pages map[string]Page

	// Sees reports whether the user of this host with that uid may see the pages; nil stands for
	// every user. It may be called concurrently.
	Sees func(uid uint32) bool

	// Unseen returns what to tell those who may not see the pages, besides that, and in which
	// language. It tells them all the same: they may be strangers, and the log has the reason. Nil
	// tells them nothing.
	Unseen func(ask Ask) (language, text string)

	// Logger is where refusals and faults are reported; nil for nowhere. Nothing that was
	// pushed ever reaches it.
	Logger hclog.Logger

	// What follows is for tests: the zero values are what a daemon has.
	maxConns                                                           int
	headerTimeout, readTimeout, writeTimeout, idleTimeout, gracePeriod time.Duration
	answerTimeout                                                      time.Duration
}

// maxConns is how many connections may be open at once. WeChat and Prometheus need a few; each holds
// some 10 KB.
const maxConns = 256

const (
	// headerTimeout is how long the header of a request may take to arrive.
	headerTimeout = 3 * time.Second

	// readTimeout is how long a whole request may take to arrive: WeChat gives up after 5 s itself.
	readTimeout = 5 * time.Second

	// answerTimeout is how long the inbox may take for a push that has arrived whole, before it is
	// answered 503: WeCom waits for 1000 ms.
	answerTimeout = 950 * time.Millisecond

	// writeTimeout is how long it may take from the end of the header to the last byte of the
	// answer. It has to be more than readTimeout and answerTimeout together.
	writeTimeout = 10 * time.Second

	// idleTimeout is how long a connection may stay open between two requests: a proxy in front of
	// tokend opens another.
	idleTimeout = 30 * time.Second

	// gracePeriod is how long requests under way may take to end when the server is stopped: as
	// long as they may take to arrive.
	gracePeriod = 5 * time.Second
)

// complete returns c with what a daemon has in place of zero values.
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
