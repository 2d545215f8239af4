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

// Config is what a [Server] is made of. Inbox is needed; every other field's zero value is the
// default that it names.
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

	// MaxConns is how many connections may be open at once; 0 stands for 256.
	MaxConns int

	// HeaderTimeout is how long the header of a request may take to arrive; 0 stands for 3 s.
	HeaderTimeout time.Duration

	// ReadTimeout is how long a whole request may take to arrive; 0 stands for 5 s, which is when
	// WeChat itself gives up.
	ReadTimeout time.Duration

	// WriteTimeout is how long it may take from the end of the header to the last byte of the
	// answer; 0 stands for 10 s. It has to be more than ReadTimeout and AnswerTimeout together.
	WriteTimeout time.Duration

	// IdleTimeout is how long a connection may stay open between two requests; 0 stands for 30 s.
	IdleTimeout time.Duration

	// AnswerTimeout is how long the inbox may take for a push that has arrived whole, before it is
	// answered 503; 0 stands for 950 ms: WeCom waits for 1000.
	AnswerTimeout time.Duration

	// GracePeriod is how long requests under way may take to end when the server is stopped; 0
	// stands for 5 s.
	GracePeriod time.Duration
}

func (c *Config) logger() hclog.Logger {
	if c.Logger == nil {
		return hclog.NewNullLogger()
	}
	return c.Logger
}

func (c *Config) maxConns() int                { return cmp.Or(c.MaxConns, 256) }
func (c *Config) headerTimeout() time.Duration { return cmp.Or(c.HeaderTimeout, 3*time.Second) }
func (c *Config) readTimeout() time.Duration   { return cmp.Or(c.ReadTimeout, 5*time.Second) }
func (c *Config) writeTimeout() time.Duration  { return cmp.Or(c.WriteTimeout, 10*time.Second) }
func (c *Config) idleTimeout() time.Duration   { return cmp.Or(c.IdleTimeout, 30*time.Second) }
func (c *Config) answerTimeout() time.Duration { return cmp.Or(c.AnswerTimeout, 950*time.Millisecond) }
func (c *Config) gracePeriod() time.Duration   { return cmp.Or(c.GracePeriod, 5*time.Second) }
