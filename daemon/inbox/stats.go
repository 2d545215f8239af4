package inbox

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tokend/daemon/credential"
)

// maxKinds bounds the kinds counted by name. It is twice the number that both platforms have.
const maxKinds = 128

// otherKinds collects the kinds beyond maxKinds.
const otherKinds = "other"

// counts counts the pushes since New. The zero value is ready to use.
type counts struct {
	refused atomic.Int64 // wrong signature, receiver, owner or format
	failed  atomic.Int64 // genuine but not stored

	previous atomic.Int64 // opened only by the previous token or key

	mu     sync.Mutex
	kinds  map[string]int64
	warned map[string]time.Time // by owner: time of the last warning about its previous token or key
}

// previousPause is the time between two warnings about the previous token or key of one owner.
const previousPause = 24 * time.Hour

// previous counts a push to o that only the previous token or key opened. It logs the first one of
// a day.
func (b *Inbox) previous(o *Owner) {
	c := &b.counts
	c.previous.Add(1)
	c.mu.Lock()
	now := time.Now()
	last, warned := c.warned[o.Path]
	due := !warned || now.Sub(last) >= previousPause
	if due && c.warned == nil {
		c.warned = make(map[string]time.Time)
	}
	if due {
		c.warned[o.Path] = now
	}
	c.mu.Unlock()
	if due {
		b.log.Warn("push accepted with the previous token or key: WeChat does not use the new one yet", "owner", o.Path)
	}
}

// push counts a genuine push and reports whether it is the first of its kind.
func (c *counts) push(kind string) (novel bool) {
	kind = cmp.Or(kind, "-")
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kinds == nil {
		c.kinds = make(map[string]int64)
	}
	if c.kinds[kind] == 0 && len(c.kinds) >= maxKinds {
		kind = otherKinds
	}
	c.kinds[kind]++
	return c.kinds[kind] == 1
}

// Stats returns the counters, sorted by key: pushes:<kind> for each kind received, pushes_failed
// and pushes_previous among these, and pushes_refused.
func (b *Inbox) Stats() []credential.Stat {
	c := &b.counts
	all := []credential.Stat{
		{Key: "pushes_failed", Value: c.failed.Load()},
		{Key: "pushes_previous", Value: c.previous.Load()},
		{Key: "pushes_refused", Value: c.refused.Load()},
	}
	c.mu.Lock()
	for kind, n := range c.kinds {
		all = append(all, credential.Stat{Key: "pushes:" + kind, Value: n})
	}
	c.mu.Unlock()
	slices.SortFunc(all, func(a, b credential.Stat) int { return cmp.Compare(a.Key, b.Key) })
	return all
}
