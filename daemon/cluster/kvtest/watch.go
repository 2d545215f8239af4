package kvtest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tokend/daemon/cluster"
)

// watch is a watch of a connection. Only one goroutine uses it.
type watch struct {
	*conn
	prefix string
	from   int64 // the next revision to yield

	broken int // the client's count when the watch was created
}

var errBroken = fmt.Errorf("%w: the watch was closed", cluster.ErrUnknown)

func newWatch(c *conn, prefix string, from int64) *watch {
	if from < 1 {
		panic("kvtest: a watch needs a revision")
	}
	c.etcd.mu.Lock()
	defer c.etcd.mu.Unlock()
	return &watch{conn: c, prefix: prefix, from: from, broken: c.client.broken}
}

// next returns the changes of one or more revisions. It waits for them.
func (w *watch) next(ctx context.Context) ([]cluster.KeyValue, error) {
	for {
		w.etcd.mu.Lock()
		changed := w.etcd.changed
		changes, wait, err := w.poll()
		w.etcd.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return nil, unanswered(ctx)
		case w.isClosed():
			return nil, errClosed
		case err != nil || changes != nil:
			return changes, err
		}
		var timer <-chan time.Time
		if wait > 0 {
			timer = time.After(wait)
		}
		select {
		case <-changed:
		case <-timer:
		case <-ctx.Done():
		case <-w.closed:
		}
	}
}

// poll returns what the watch yields now, or how long nothing changes by itself; zero is forever.
func (w *watch) poll() (changes []cluster.KeyValue, wait time.Duration, err error) {
	e, c := w.etcd, w.client
	switch {
	case w.broken != c.broken:
		return nil, 0, errBroken
	case c.cut || c.frozen || c.mute || w.member.state != running:
		return nil, 0, nil
	case !e.lost.IsZero():
		left := time.Until(e.lost.Add(noLeader))
		if left <= 0 {
			return nil, 0, cluster.ErrNoLeader
		}
		wait = left
	}
	if !strings.HasPrefix(w.prefix, c.limit) {
		return nil, 0, cluster.ErrDenied
	}
	if w.from < e.space.compacted {
		return nil, 0, &cluster.CompactedError{Revision: e.space.compacted}
	}
	visible := time.Now().Add(-c.lag)
	for _, change := range e.space.since(w.from) {
		if change.at.After(visible) {
			left := change.at.Sub(visible)
			if wait == 0 || left < wait {
				wait = left
			}
			return changes, wait, nil
		}
		w.from = change.Modified + 1
		if strings.HasPrefix(change.Key, w.prefix) {
			changes = append(changes, change.KeyValue)
		}
	}
	return changes, wait, nil
}
