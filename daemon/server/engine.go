package server

import (
	"context"
	"iter"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/fetchers/secret"
)

// Engine is what the server asks for everything it answers. Its methods may be
// called concurrently. An error that is not a [*credential.Error], or the
// context's own, is a fault and is shown to nobody. No error holds a value, a code or any
// other thing that was handed in.
type Engine interface {
	// Now returns the present instant of the clock by which credentials end. It never blocks.
	Now() clock.Instant

	// Cached returns the value of name if one is held that is valid at now, which Now has
	// returned a moment before. It never blocks, never allocates, and keeps nothing of name, which
	// may be any bytes: there is no value under what is no name.
	Cached(name []byte, now clock.Instant) (credential.Value, bool)

	// CachedAll is Cached for several names. values, of which there are as many, become theirs: one
	// with a TTL of 0 where Cached would report that there is none.
	CachedAll(names [][]byte, now clock.Instant, values []credential.Value)

	// Get returns a value that is valid now and may wait for one; ctx bounds the
	// waiting, not the fetch.
	Get(ctx context.Context, name string) (credential.Value, error)

	// Reject replaces value if it is still the current one, and returns the
	// current one.
	Reject(ctx context.Context, name string, value secret.Text) (credential.Value, error)

	// RejectCached is Reject where that takes no fetch. It reports false where Reject has to
	// decide. It never blocks, never allocates, and keeps nothing of name and value.
	RejectCached(name, value []byte) (credential.Value, bool)

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

	// Import takes in the page of owner's customers that begins at offset.
	Import(ctx context.Context, owner string, offset int) (credential.ImportPage, error)

	// Loaded returns a channel that is closed when all that was kept is in force. What follows
	// waits for that, as long as it takes.
	Loaded() <-chan struct{}

	// List returns how many credentials there are under prefix of whose names may says that they
	// may be shown, and yields so many, sorted by name, in one walk.
	List(prefix string, may func(name string) bool) (n int, all iter.Seq[credential.Listing])

	// Status returns all there is to say of name but its value.
	Status(name string) (credential.Status, error)

	// History returns the last refreshes of name, newest first.
	History(name string) ([]credential.Attempt, error)

	// Watch returns what there is under prefix, as List does, and every change
	// from then on.
	Watch(prefix string, may func(name string) bool) (n int, all iter.Seq[credential.Listing], w Watch)

	// Stats returns counters. Their keys differ from the server's own.
	Stats() []credential.Stat
}

// Inbox receives what WeChat pushes. Its method may be called concurrently.
type Inbox interface {
	// Receive verifies a callback to owner and does what it says; ctx bounds the
	// waiting. Nil means that the sender may be told "success". Errors are as those
	// of [Engine]; [credential.Denied] is for a wrong signature or receiver.
	Receive(ctx context.Context, owner, signature, timestamp, nonce, encrypt string) error
}

// Watch is a subscription to changes.
type Watch interface {
	// Take returns the changes since the last one, in order, and whether more may come: not when
	// the watch is closed, or the watcher was too slow. Ready receives when it is worth calling.
	Take() (changes []credential.Listing, more bool)
	Ready() <-chan struct{}

	// Close ends the subscription. It may be called more than once.
	Close()
}
