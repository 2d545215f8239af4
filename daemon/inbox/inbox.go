package inbox

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// Engine stores the content of pushes. Its methods may be called concurrently. Repeating a call
// with the same arguments changes nothing. A zero at means that the message has no time.
type Engine interface {
	// Push stores the ticket called name if it is newer than the stored one. The ticket is durable
	// when Push returns nil.
	Push(ctx context.Context, name string, ticket secret.Text, at time.Time) error

	// Accept stores an authorization code of owner, to be exchanged before until. The code is
	// durable when Accept returns nil. The exchange follows.
	Accept(ctx context.Context, owner string, code secret.Text, at, until time.Time) error

	// AcceptFrom is Accept for a message that names the customer, child.
	AcceptFrom(ctx context.Context, owner, child string, code secret.Text, at, until time.Time) error

	// Revoke revokes a grant unless the grant is newer than at. When Revoke returns nil, the
	// revocation is durable and the customer's tokens have been deleted.
	Revoke(ctx context.Context, grant string, at time.Time) error
}

// Owner is a platform or suite whose pushes are received.
type Owner struct {
	// Path is the prefix of its credential names: "open_platform/<component_appid>" or
	// "open_work/<suite_id>".
	Path string

	// Callback opens the owner's pushes. Its receivers are the component's appid, or the suite's ID
	// and the provider's corpid.
	Callback *fetchers.Callback

	// Verify opens WeCom's verification of the callback URL, whose receiver is the provider's
	// corpid. It is nil for owners whose URL is not verified this way.
	Verify *fetchers.Callback

	// Ticket is the name of the pushed ticket.
	Ticket string

	// Grant returns the name of a customer's grant.
	Grant func(child string) string

	// CodeLife is the lifetime of an authorization code whose message does not contain it.
	CodeLife time.Duration
}

// id is the owner's ID in events.
func (o *Owner) id() string { return o.Path[strings.LastIndexByte(o.Path, '/')+1:] }

// Config configures an [Inbox].
type Config struct {
	Engine Engine

	// Logger receives a line per push, with owner and kind. Nil disables logging.
	Logger hclog.Logger
}

// Inbox processes pushes. Create an Inbox with [New]. Its methods may be called concurrently.
type Inbox struct {
	engine Engine
	log    hclog.Logger
	owners atomic.Pointer[map[string]*Owner] // by path; replaced as a whole
	counts counts
}

// New returns an Inbox without owners.
func New(cfg Config) *Inbox {
	b := &Inbox{engine: cfg.Engine, log: cfg.Logger}
	if b.log == nil {
		b.log = hclog.NewNullLogger()
	}
	b.SetOwners(nil)
	return b
}

// SetOwners replaces all owners. A push in progress continues with the old ones.
func (b *Inbox) SetOwners(owners []Owner) {
	m := make(map[string]*Owner, len(owners))
	for _, o := range owners {
		m[o.Path] = &o
	}
	b.owners.Store(&m)
}

// Knows reports whether path is a known owner, and whether its callback URL is verified by a GET.
func (b *Inbox) Knows(owner string) (known, verified bool) {
	o := b.owner(owner)
	return o != nil, o != nil && o.Verify != nil
}

// Receive processes a push to owner, given as the four fields of PUSH. When Receive returns nil,
// the content is durable. Errors of type [*credential.Error] mean that the push was rejected:
// NotFound, Denied, Unfit, or Busy if it was not stored in time. Their message is safe to show to a
// peer. Any other error is an internal fault, and the push was not stored.
func (b *Inbox) Receive(ctx context.Context, owner, signature, timestamp, nonce, encrypt string) error {
	o := b.owner(owner)
	if o == nil {
		return b.refused(owner, errUnknown)
	}
	plain, _, previous, err := o.Callback.OpenEither(signature, timestamp, nonce, encrypt)
	if err != nil {
		return b.refused(owner, err)
	}
	event, err := fetchers.ParseEvent(plain)
	if err != nil {
		return b.refused(owner, err)
	}
	// Messages of unknown kinds need not name their owner, because they have no effect.
	if event.Owner != "" && event.Owner != o.id() {
		return b.refused(owner, errForeign)
	}
	if previous {
		b.previous(o)
	}
	return b.act(ctx, o, event)
}

// Check rejects malformed parameters of a push to owner before its body is read.
func (b *Inbox) Check(owner, signature, timestamp, nonce string) error {
	if err := fetchers.CheckParameters(signature, timestamp, nonce); err != nil {
		return b.refused(owner, err)
	}
	return nil
}

// Envelope processes a push as posted by HTTP: its body and its query parameters. Otherwise
// Envelope is like [Inbox.Receive]. It does not keep body.
func (b *Inbox) Envelope(ctx context.Context, owner, signature, timestamp, nonce string, body []byte) error {
	if b.owner(owner) == nil {
		return b.refused(owner, errUnknown)
	}
	envelope, err := fetchers.ParseEnvelope(body)
	if err != nil {
		return b.refused(owner, err)
	}
	return b.Receive(ctx, owner, signature, timestamp, nonce, envelope.Encrypt)
}

func (b *Inbox) owner(path string) *Owner { return (*b.owners.Load())[path] }
