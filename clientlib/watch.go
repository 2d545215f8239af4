package clientlib

import (
	"context"
	"sync/atomic"

	"tokend/protocol"
)

// Watcher reports changes of credentials. It has its own connection, which Close closes. Next and
// List must not be called concurrently. Close may be called at any time.
//
// A Watcher does not reconnect, since changes in between would be lost without notice. If Next
// returns another error than that of its context, close the Watcher, call [Client.Watch] again and
// begin with List.
type Watcher struct {
	prefix string
	list   []Listing
	conn   *conn
	closed atomic.Bool

	// err is the error that ended the watch. Once set, Next returns only err.
	err error
}

// Watch watches the credentials whose names begin with prefix. An empty prefix watches all. ctx
// limits the setup, not the watch; see [Watcher.Next].
func (c *Client) Watch(ctx context.Context, prefix string) (*Watcher, error) {
	const verb = protocol.VerbWatch
	line, err := protocol.AppendRequest(nil, verb, prefix)
	if err != nil {
		return nil, err
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	cn, err := c.dial(ctx)
	if err != nil {
		return nil, explain(ctx, verb, prefix, err)
	}
	w := &Watcher{prefix: prefix, conn: cn}
	unguard := cn.guard(ctx)
	err = cn.request(line, func(cn *conn) (err error) {
		w.list, err = readLines(cn, protocol.ParseListing)
		return err
	})
	if !unguard() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		cn.Close()
		return nil, explain(ctx, verb, prefix, err)
	}
	return w, nil
}

// List returns the listing at the start of the watch, sorted by name. Next returns exactly the
// later changes. The caller may modify the slice.
func (w *Watcher) List() []Listing { return w.list }

// Next waits for a change and returns the credential's new state. ctx limits this call only; the
// next call continues where this one stopped. Client.Timeout does not apply, since hours may pass
// between changes.
func (w *Watcher) Next(ctx context.Context) (Listing, error) {
	if w.err != nil {
		return Listing{}, w.err
	}
	if err := ctx.Err(); err != nil {
		return Listing{}, explain(ctx, protocol.VerbWatch, w.prefix, err)
	}
	unguard := w.conn.guard(ctx)
	l, err := w.read()
	unguard()
	if err == nil {
		return l, nil
	}
	if w.closed.Load() {
		w.err = ErrClosed
		return Listing{}, w.err
	}
	ended := !timeUp(err)
	err = explain(ctx, protocol.VerbWatch, w.prefix, err)
	if ended {
		w.err = err
		w.conn.Close()
	}
	return Listing{}, err
}

func (w *Watcher) read() (Listing, error) {
	line, err := w.conn.readLine()
	if err != nil {
		return Listing{}, err
	}
	return protocol.ParseChanged(line)
}

// Close ends the watch. A waiting Next returns [ErrClosed].
func (w *Watcher) Close() error {
	w.closed.Store(true)
	return w.conn.Close()
}
