package clientlib

import (
	"context"
	"sync/atomic"

	"tokend/protocol"
)

// Watcher tells of changes. It has a connection of its own, which its owner ends
// with Close. Next and List are for one goroutine at a time; Close is for any.
//
// A watcher does not reconnect: what happened in between would be missing without
// anybody knowing. When Next fails with anything but its own context's error, close the
// watcher, call [Client.Watch] again, and begin with its List.
type Watcher struct {
	prefix string
	list   []Listing
	conn   *conn
	closed atomic.Bool

	// err is what has ended the watch; once set, it is all that Next returns.
	err error
}

// Watch begins to watch the credentials whose names begin with prefix, all of
// them for "". ctx limits the beginning, not the watch; see [Watcher.Next].
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

// List returns everything as it stood when the watch began, in the order of names.
// Changes after that, and only those, come from Next. The slice is the caller's.
func (w *Watcher) List() []Listing { return w.list }

// Next waits for a change and returns how a credential stands after it. ctx
// limits this one call; the next call goes on where it stopped. Client.Timeout does not apply:
// it is in the nature of a watch that nothing happens for hours.
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

// Close ends the watch. A Next that is waiting returns [ErrClosed].
func (w *Watcher) Close() error {
	w.closed.Store(true)
	return w.conn.Close()
}
