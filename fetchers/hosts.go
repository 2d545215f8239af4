package fetchers

import (
	"net/url"
	"sync"
	"time"
)

// effect is the effect of a second request if the first one may have arrived.
type effect uint8

const (
	// replaces: it creates another value and ends the first one. A request that was sent is not
	// repeated. This is the zero value, so a call is repeatable only if its fetcher declares it.
	replaces effect = iota

	// repeats: it returns the same value again.
	repeats

	// spends: it uses up a single-use code.
	spends
)

// firstHostPause is how long a fallback host is used before the first host is tried again.
const firstHostPause = 5 * time.Minute

// hosts selects one of a [Client]'s hosts. The zero value selects the first.
type hosts struct {
	mu       sync.Mutex
	current  int
	reported int       // the last selected host that has answered
	tried    time.Time // when the first was last tried while another was selected, or deselected
	hung     bool      // the first host did not answer a request in time then
}

// pick returns the index of the host for a call with effect e. One call in firstHostPause tries the
// first host. Calls that use up a code do not try it, nor do calls that replace a value if the
// first host hung.
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

// worked records that host i answered a call begun at began. It selects the first host again if the
// call began after that host was deselected. It returns the previously reported host, and whether
// the host changed.
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

// lost records that host i, of n, was unreachable or hung. If leave is set, the next host is
// selected, unless another call has already deselected i.
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

// base returns the base URL of host i; "" means the platform's own host.
func (c *Client) base(i int) string {
	if i == 0 {
		return c.URL
	}
	return c.Fallbacks[i-1]
}

// Host returns the host in use, with its port if the URL has one. It is empty if the Client has no
// URL.
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

// answered records that host i answered a call begun at began.
func (c *Client) answered(i int, began time.Time) {
	if before, moved := c.hosts.worked(i, began); moved && c.Moved != nil {
		c.Moved(c.hostOf(before), c.hostOf(i))
	}
}

// failure describes a failed call.
type failure struct {
	host     int
	effect   effect
	sent     bool // WeChat may have received the request
	reused   bool // on a reused connection
	timedOut bool
}

// failed handles f and returns how often the call may be repeated because of it.
//
// Another host is selected if the current one was unreachable, or did not answer a repeatable call
// in time. A reused connection may have died unnoticed, together with all other idle ones. These
// are closed, so that the next calls use new connections.
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
