package catalog

import (
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/config"
	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/fetchers"
)

// CallLimit is the time after which the engine ends a call. It exceeds every valid
// upstream.timeout, which the fetchers enforce.
const CallLimit = 6 * time.Minute

// The hosts' indices in [Hosts], which specs use.
const (
	weixinHost = iota
	workHost
)

// Hosts describes the hosts to the engine. up returns the current upstream, which a reload
// replaces.
func Hosts(up func() *Upstream) []policy.Host {
	weixin, work := policy.Weixin, policy.WeCom
	weixin.Name = func() string { return up().weixin.Host() }
	work.Name = func() string { return up().work.Host() }
	return []policy.Host{weixinHost: weixin, workHost: work}
}

// Upstream is the WeChat and WeCom hosts of one configuration.
type Upstream struct {
	config.Upstream
	weixin, work *fetchers.Client
	log          hclog.Logger // for malformed answers and changes of the host in use
}

// NewUpstream returns the hosts of cfg. atOnce is the number of concurrent calls to each host.
func NewUpstream(cfg config.Upstream, atOnce int, calls *Calls, log hclog.Logger) *Upstream {
	log = log.Named("upstream")
	return &Upstream{
		Upstream: cfg,
		log:      log,
		weixin: &fetchers.Client{
			URL: cfg.WeixinURLs[0], Fallbacks: cfg.WeixinURLs[1:], Timeout: cfg.Timeout, Calls: atOnce, Observe: calls.observe,
			Moved: func(from, to string) { log.Warn("calls go to another WeChat host", "from", from, "to", to) },
		},
		work: &fetchers.Client{URL: cfg.WorkURL, Timeout: cfg.Timeout, Calls: atOnce, Observe: calls.observe},
	}
}

// Clients returns the clients of both hosts. Before the first call, a test may set their
// transports.
func (u *Upstream) Clients() (weixin, work *fetchers.Client) { return u.weixin, u.work }

// Close closes idle connections.
func (u *Upstream) Close() {
	u.weixin.CloseIdleConnections()
	u.work.CloseIdleConnections()
}

// Hosts returns all configured hosts, and marks those in use.
func (u *Upstream) Hosts() []credential.Host {
	var all []credential.Host
	add := func(api string, c *fetchers.Client) {
		used, names := c.Host(), c.Hosts()
		for i, name := range names {
			if slices.Index(names, name) == i { // another may differ only in its path
				all = append(all, credential.Host{API: api, Name: name, Used: name == used})
			}
		}
	}
	add("weixin", u.weixin)
	add("work", u.work)
	return all
}
