package server

import (
	"context"
	"iter"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/throttle"
	"tokend/fetchers/secret"
)

// Engine provides credentials to the server. Its methods may be called concurrently. An error that
// is neither a [*credential.Error] nor the context's is a fault, and clients do not see it. No
// error contains a value, a code or anything else that was submitted.
type Engine interface {
	// Now returns the current time of the clock by which credentials expire. It never blocks.
	Now() clock.Instant

	// Cached returns the value of name if one is held that is valid at now, which Now has
	// returned a moment before. It never blocks, never allocates, and keeps nothing of name, which
	// may be any bytes: there is no value under what is no name.
	Cached(name []byte, now clock.Instant) (credential.Value, bool)

	// CachedAll is Cached for several names. It sets values, which has the same length. A TTL of 0
	// means that there is no valid value.
	CachedAll(names [][]byte, now clock.Instant, values []credential.Value)

	// Get returns a valid value, and may wait for one. ctx bounds the wait, not the fetch.
	Get(ctx context.Context, name string) (credential.Value, error)

	// Reject replaces value if it is still the current one, and returns the current one.
	Reject(ctx context.Context, name string, value secret.Text) (credential.Value, error)

	// RejectCached is Reject if no fetch is needed. It returns false if Reject has to decide. It
	// never blocks, never allocates, and keeps nothing of name and value.
	RejectCached(name, value []byte) (credential.Value, bool)

	// RejectOlder is Reject of the value that is valid now, unless the engine has obtained it less
	// than age ago. Without a valid value it does nothing.
	RejectOlder(ctx context.Context, name string, age time.Duration) error

	// Class returns how the credential gets its values, or the error of Get for a name without a
	// credential. It never waits.
	Class(name string) (credential.Class, error)

	// Refresh fetches unconditionally.
	Refresh(ctx context.Context, name string) (credential.Value, error)

	// Put stores a pushed ticket or a grant, and returns nil when it is durable. For the name of
	// anything else its error has [credential.Unfit]. It returns when ctx ends, whatever the disk
	// does. What ctx ends may have been done; doing it again does no harm. This holds for Import
	// too.
	Put(ctx context.Context, name string, value secret.Text) error

	// PutAll is Put for each of all, all at once; the error at i is that of all[i]. It keeps
	// nothing of all but the texts.
	PutAll(ctx context.Context, all []credential.Deposit) []error

	// Exchange turns an authorization code of owner into a grant and returns whose it is, as
	// owner/child, when it is durable. A code that has been exchanged costs no second
	// call. ctx bounds the waiting, not the exchange.
	Exchange(ctx context.Context, owner string, code secret.Text) (customer string, err error)

	// Import imports the page of owner's customers that begins at offset.
	Import(ctx context.Context, owner string, offset int) (credential.ImportPage, error)

	// Loaded returns a channel that is closed when the store has been loaded. The methods below
	// wait for that.
	Loaded() <-chan struct{}

	// List returns the number of credentials under prefix whose names may approves, and yields
	// them, sorted by name, in one walk. Both are part of work. The list is not whole if the
	// context of work has ended.
	List(work *throttle.Work, prefix string, may func(name string) bool) (n int, all iter.Seq[credential.Listing])

	// Status returns all about name except its value.
	Status(name string) (credential.Status, error)

	// History returns the last refreshes of name, newest first.
	History(name string) ([]credential.Attempt, error)

	// Watch returns the credentials under prefix, as List does, and every change from then on.
	Watch(work *throttle.Work, prefix string, may func(name string) bool) (n int, all iter.Seq[credential.Listing], w Watch)

	// Subscribe is Watch without the credentials that there are. It never waits.
	Subscribe(prefix string) Watch

	// Stats returns counters. Their keys differ from the server's own.
	Stats() []credential.Stat
}

// Inbox receives messages that WeChat pushes. Its method may be called concurrently.
type Inbox interface {
	// Receive verifies a callback to owner and executes it. ctx bounds the wait. If the error is
	// nil, the sender may get the answer "success". Errors are those of [Engine];
	// [credential.Denied] is for a wrong signature or receiver.
	Receive(ctx context.Context, owner, signature, timestamp, nonce, encrypt string) error
}

// Watch is a subscription to changes.
type Watch interface {
	// Take returns the changes since the last call, in order, and whether more may follow: not
	// after Close, or if the watcher was too slow. Ready receives when changes are pending.
	Take() (changes []credential.Listing, more bool)
	Ready() <-chan struct{}

	// Close ends the subscription. It may be called more than once.
	Close()
}
