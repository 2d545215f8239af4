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
	failed atomic.Int64 // genuine but not stored

	previous atomic.Int64 // opened only by the previous token or key

	mu    sync.Mutex
	kinds map[string]int64

	refused map[string]*credential.Refusals // by owner; "" for owners that are not configured

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

// refuse counts a refused push to owner, which is known or "".
func (c *counts) refuse(owner string, why credential.Refusal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	of := c.refused[owner]
	if of == nil {
		if c.refused == nil {
			c.refused = make(map[string]*credential.Refusals)
		}
		of = new(credential.Refusals)
		c.refused[owner] = of
	}
	of.Add(why, time.Now())
}

// Refused returns how many pushes to owner were refused.
func (b *Inbox) Refused(owner string) credential.Refusals {
	b.counts.mu.Lock()
	defer b.counts.mu.Unlock()
	if of := b.counts.refused[owner]; of != nil {
		return *of
	}
	return credential.Refusals{}
}

// Refusals returns how many pushes were refused, to all owners together.
func (b *Inbox) Refusals() (all credential.Refusals) {
	b.counts.mu.Lock()
	defer b.counts.mu.Unlock()
	for _, of := range b.counts.refused {
		for why, n := range of.N {
			all.N[why] += n
		}
		if of.Last.After(all.Last) {
			all.Last = of.Last
		}
	}
	return all
}

// Stats returns the counters, sorted by key: pushes:<kind> for each kind received, pushes_failed
// and pushes_previous among these, pushes_refused, and
// pushes_refused:<why> for each cause that occurred.
func (b *Inbox) Stats() []credential.Stat {
	c := &b.counts
	all := []credential.Stat{
		{Key: "pushes_failed", Value: c.failed.Load()},
		{Key: "pushes_previous", Value: c.previous.Load()},
	}
	refused := b.Refusals()
	all = append(all, credential.Stat{Key: "pushes_refused", Value: refused.Total()})
	for why, n := range refused.N {
		if n > 0 {
			all = append(all, credential.Stat{Key: "pushes_refused:" + credential.Refusal(why).String(), Value: n})
		}
	}
	c.mu.Lock()
	for kind, n := range c.kinds {
		all = append(all, credential.Stat{Key: "pushes:" + kind, Value: n})
	}
	c.mu.Unlock()
	slices.SortFunc(all, func(a, b credential.Stat) int { return cmp.Compare(a.Key, b.Key) })
	return all
}
