package server

import (
	"context"

	"tokend/daemon/refresh"
	"tokend/fetchers/secret"
)

// Engine is what the server asks for everything it answers. Its methods may be
// called concurrently. An error that is not a [*refresh.Error], or the
// context's own, is a fault and is shown to nobody.
type Engine interface {
	// Cached returns the value of name if one is held that is valid now. It never
	// blocks, never allocates, and keeps nothing of name.
	Cached(name []byte) (refresh.Value, bool)

	// Get returns a value that is valid now and may wait for one; ctx bounds the
	// waiting, not the fetch.
	Get(ctx context.Context, name string) (refresh.Value, error)

	// Reject replaces value if it is still the current one, and returns the
	// current one.
	Reject(ctx context.Context, name string, value secret.Text) (refresh.Value, error)

	// Refresh fetches unconditionally.
	Refresh(ctx context.Context, name string) (refresh.Value, error)

	// List returns what there is under prefix, sorted by name. The slice is the
	// caller's.
	List(prefix string) []refresh.Listing

	// Status returns all there is to say of name but its value.
	Status(name string) (refresh.Status, error)

	// History returns the last refreshes of name, newest first.
	History(name string) ([]refresh.Attempt, error)

	// Watch returns what there is under prefix, as List does, and every change
	// from then on.
	Watch(prefix string) ([]refresh.Listing, Watch)

	// Stats returns counters. Their keys differ from the server's own.
	Stats() []refresh.Stat
}

// Watch is a subscription to changes.
type Watch interface {
	// Events returns the channel of changes. It is closed when the watch is,
	// and when the watcher was too slow.
	Events() <-chan refresh.Listing

	// Close ends the subscription. It may be called more than once.
	Close()
}
