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
	mu       sync.Mutex
	current  int
	reported int       // the last host that was in use and has answered
	tried    time.Time // when the first was last tried while another was in use, or left
	hung     bool      // the first took a request then and did not answer it in time
}

// pick returns the index of the host for a call with effect e. One call in firstHostPause tries the
// first host. A code is not spent on that, nor is a value replaced at a host that hung.
func (h *hosts) pick(e effect) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if h.current == 0 || now.Sub(h.tried) < firstHostPause || e == spends || e == replaces && h.hung {
		return h.current
	}
	h.tried = now
	return 0
}

// worked notes that host i has answered a call that began at began. The first is in use again if
// that was after it was left. It reports which host was in use before, if i is another one.
func (h *hosts) worked(i int, began time.Time) (before int, moved bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i == 0 && !began.Before(h.tried) {
		h.current = 0
	}
	before = h.reported
	if i == h.current {
		h.reported = i
	}
	return before, h.reported != before
}

// lost notes that host i, of n, was not reached, or hung. If leave is set, the next one is in use
// from then on, unless another call has left i already.
func (h *hosts) lost(i, n int, hung, leave bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i == 0 {
		h.tried, h.hung = time.Now(), hung
	}
	if leave && h.current == i {
		h.current = (i + 1) % n
	}
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
	leave := !f.sent || f.timedOut && f.effect == repeats
	if leave || f.timedOut {
		c.hosts.lost(f.host, 1+len(c.Fallbacks), f.sent, leave)
	}
	if leave && len(c.Fallbacks) > 0 {
		return len(c.Fallbacks)
	}
	if f.sent && f.reused && f.effect == repeats {
		return 1
	}
	return 0
}
