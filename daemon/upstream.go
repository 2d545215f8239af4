package daemon

import (
	"slices"
	"strings"
	"sync"
	"time"

	"tokend/daemon/config"
	"tokend/daemon/refresh"
	"tokend/fetchers"
)

// upstream is the two hosts as one configuration names them.
type upstream struct {
	config.Upstream
	weixin, work *fetchers.Client
}

func newUpstream(cfg config.Upstream, calls *calls) *upstream {
	return &upstream{
		Upstream: cfg,
		weixin:   &fetchers.Client{URL: cfg.WeixinURL, Timeout: cfg.Timeout, Observe: calls.observe},
		work:     &fetchers.Client{URL: cfg.WorkURL, Timeout: cfg.Timeout, Observe: calls.observe},
	}
}

func (u *upstream) close() {
	u.weixin.CloseIdleConnections()
	u.work.CloseIdleConnections()
}

// calls counts the calls to each endpoint.
type calls struct {
	mu     sync.Mutex
	byPath map[string]int64
	failed map[string]int64
}

func newCalls() *calls {
	return &calls{byPath: map[string]int64{}, failed: map[string]int64{}}
}

func (c *calls) observe(endpoint string, _ time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byPath[endpoint]++
	if err != nil {
		c.failed[endpoint]++
	}
}

// stats returns the counts, sorted by key.
func (c *calls) stats() []refresh.Stat {
	c.mu.Lock()
	defer c.mu.Unlock()
	var stats []refresh.Stat
	for path, n := range c.byPath {
		stats = append(stats, refresh.Stat{Key: "calls:" + path, Value: n})
	}
	for path, n := range c.failed {
		stats = append(stats, refresh.Stat{Key: "failed:" + path, Value: n})
	}
	slices.SortFunc(stats, func(a, b refresh.Stat) int { return strings.Compare(a.Key, b.Key) })
	return stats
}
