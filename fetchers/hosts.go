package fetchers

import (
	"net/url"
	"sync"
	"time"
)

// effect is what a second request does for a call whose first one may have arrived.
type effect uint8

const (
	// replaces: it makes another value and ends the first one. Nothing that was sent is repeated.
	// This is the zero value: a call is safe to repeat only if its fetcher says that it is.
	replaces effect = iota

	// repeats: it returns the same value again.
	repeats

	// spends: it uses a code that can be used once.
	spends
)

// firstHostPause is how long a host that worked is used before the first one is tried again.
const firstHostPause = 5 * time.Minute

// hosts is which of a [Client]'s hosts is in use. The zero value uses the first.
type hosts struct {
	mu      sync.Mutex
	current int
	tried   time.Time // when the first was last tried while another was in use, or left
}

// pick returns the index of the host for a call with effect e. One call in firstHostPause tries the
// first host; a code is not spent on that.
func (h *hosts) pick(e effect) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); h.current != 0 && e != spends && now.Sub(h.tried) >= firstHostPause {
		h.tried = now
		return 0
	}
	return h.current
}

// worked puts host i in use if it is the first and has answered a call that began after it was left.
// It reports which host was in use before.
func (h *hosts) worked(i int, began time.Time) (before int, moved bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before = h.current
	if i == 0 && !began.Before(h.tried) {
		h.current = 0
	}
	return before, h.current != before
}

// leave puts the host after i, of n, in use, unless another call has done so already.
func (h *hosts) leave(i, n int) (after int, moved bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i == 0 {
		h.tried = time.Now()
	}
	if h.current != i || n < 2 {
		return h.current, false
	}
	h.current = (i + 1) % n
	return h.current, true
}

// base returns the base URL of host i; "" stands for the platform's own host.
func (c *Client) base(i int) string {
	if i == 0 {
		return c.URL
	}
	return c.Fallbacks[i-1]
}

// Host returns the host that calls go to, with its port if the URL has one; empty if the Client
// has no URL.
func (c *Client) Host() string { return c.hostOf(c.inUse()) }

// Hosts returns all hosts of the Client in the order in which they are tried.
func (c *Client) Hosts() []string {
	all := make([]string, 1+len(c.Fallbacks))
	for i := range all {
		all[i] = c.hostOf(i)
	}
	return all
}

func (c *Client) inUse() int {
	c.hosts.mu.Lock()
	defer c.hosts.mu.Unlock()
	return c.hosts.current
}

func (c *Client) hostOf(i int) string {
	if u, err := url.Parse(c.base(i)); err == nil {
		return u.Host
	}
	return ""
}

// answered notes that host i has answered a call that began at began.
func (c *Client) answered(i int, began time.Time) {
	if before, moved := c.hosts.worked(i, began); moved && c.Moved != nil {
		c.Moved(c.hostOf(before), c.hostOf(i))
	}
}

// failure is how a call failed on its way.
type failure struct {
	host     int
	effect   effect
	sent     bool // WeChat may have received the request
	reused   bool // on a connection that had carried a call before
	timedOut bool
}

// failed does what f calls for and returns how often the call may be repeated because of it.
//
// A host is left if it could not be reached, or did not answer a call in time that is safe to
// repeat. A connection that was reused may have died unnoticed, with all others that are kept:
// they are closed, so that the next calls find out on new ones.
func (c *Client) failed(f failure) int {
	if f.sent && f.reused {
		c.CloseIdleConnections()
	}
	if !f.sent || f.timedOut && f.effect == repeats {
		if after, moved := c.hosts.leave(f.host, 1+len(c.Fallbacks)); moved && c.Moved != nil {
			c.Moved(c.hostOf(f.host), c.hostOf(after))
		}
		if len(c.Fallbacks) > 0 {
			return len(c.Fallbacks)
		}
	}
	if f.sent && f.reused && f.effect == repeats {
		return 1
	}
	return 0
}
