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

// Engine takes what was pushed. Its methods may be called concurrently, and again with the
// same arguments, which changes nothing. A zero at means that the message has no time.
type Engine interface {
	// Push stores the ticket called name, if it is newer than the stored one. It is durable
	// when Push returns nil.
	Push(ctx context.Context, name string, ticket secret.Text, at time.Time) error

	// Accept promises to exchange an authorization code of owner's, which is of use
	// until until. The promise is durable when Accept returns nil; the exchange follows.
	Accept(ctx context.Context, owner string, code secret.Text, at, until time.Time) error

	// AcceptFrom is Accept where the message names the customer, child.
	AcceptFrom(ctx context.Context, owner, child string, code secret.Text, at, until time.Time) error

	// Revoke takes a grant out of force, unless it is newer than at. When it returns nil, that
	// is durable and the customer's tokens are gone.
	Revoke(ctx context.Context, grant string, at time.Time) error
}

// Owner is a platform or suite that WeChat pushes to.
type Owner struct {
	// Path is how credential names begin: "open_platform/<component_appid>" or
	// "open_work/<suite_id>".
	Path string

	// Callback opens the owner's pushes. Its receivers are the component's appid; or the suite's id
	// and the provider's corpid.
	Callback *fetchers.Callback

	// Verify opens WeCom's verification of the address, whose receiver is the provider's
	// corpid; nil for owners whose address is not verified so.
	Verify *fetchers.Callback

	// Ticket is the name of the pushed ticket.
	Ticket string

	// Grant returns the name of a customer's grant.
	Grant func(child string) string

	// CodeLife is how long an authorization code is of use, where its message does not say.
	CodeLife time.Duration
}

// id is what events call the owner.
func (o *Owner) id() string { return o.Path[strings.LastIndexByte(o.Path, '/')+1:] }

// Config is what an [Inbox] is made of.
type Config struct {
	Engine Engine

	// Logger is where pushes are reported by owner and kind; nil for nowhere.
	Logger hclog.Logger
}

// Inbox takes pushes. Make one with [New]; its methods may be called concurrently.
type Inbox struct {
	engine Engine
	log    hclog.Logger
	owners atomic.Pointer[map[string]*Owner] // by path; replaced as a whole
	counts counts
}

// New returns an Inbox that knows no owner yet.
func New(cfg Config) *Inbox {
	b := &Inbox{engine: cfg.Engine, log: cfg.Logger}
	if b.log == nil {
		b.log = hclog.NewNullLogger()
	}
	b.SetOwners(nil)
	return b
}

// SetOwners puts other owners in the place of all there were. A push that is being acted on
// goes on as it began.
func (b *Inbox) SetOwners(owners []Owner) {
	m := make(map[string]*Owner, len(owners))
	for _, o := range owners {
		m[o.Path] = &o
	}
	b.owners.Store(&m)
}

// Knows reports whether there is an owner of that path, and whether its address is verified
// by a GET.
func (b *Inbox) Knows(owner string) (known, verified bool) {
	o := b.owner(owner)
	return o != nil, o != nil && o.Verify != nil
}

// Receive takes a push of owner's that came apart already: the four fields of PUSH. When it returns
// nil, what it brought is durable. Its errors are of type [*refresh.Error] where the push was
// refused, with a message that is fit for a peer: NotFound, Denied, Unfit, and Busy where it was
// not kept in time; any other error is a fault behind the inbox, and the push was not kept.
func (b *Inbox) Receive(ctx context.Context, owner, signature, timestamp, nonce, encrypt string) error {
	o := b.owner(owner)
	if o == nil {
		return b.refused(errUnknown)
	}
	plain, _, previous, err := o.Callback.OpenEither(signature, timestamp, nonce, encrypt)
	if err != nil {
		return b.refused(err)
	}
	event, err := fetchers.ParseEvent(plain)
	if err != nil {
		return b.refused(err)
	}
	// Messages of kinds that are not known need not name their owner; nothing is done with them.
	if event.Owner != "" && event.Owner != o.id() {
		return b.refused(errForeign)
	}
	if previous {
		b.previous(o)
	}
	return b.act(ctx, o, event)
}

// Check refuses a push whose parameters are malformed, before its body has been read.
func (b *Inbox) Check(signature, timestamp, nonce string) error {
	if err := fetchers.CheckParameters(signature, timestamp, nonce); err != nil {
		return b.refused(err)
	}
	return nil
}

// Envelope takes a push as it is posted: its body, and the fields of its query. It is
// [Inbox.Receive] otherwise. It does not keep body.
func (b *Inbox) Envelope(ctx context.Context, owner, signature, timestamp, nonce string, body []byte) error {
	if b.owner(owner) == nil {
		return b.refused(errUnknown)
	}
	envelope, err := fetchers.ParseEnvelope(body)
	if err != nil {
		return b.refused(err)
	}
	return b.Receive(ctx, owner, signature, timestamp, nonce, envelope.Encrypt)
}

func (b *Inbox) owner(path string) *Owner { return (*b.owners.Load())[path] }
