package catalog

import (
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/config"
	"tokend/daemon/credential"
	"tokend/daemon/refresh"
	"tokend/fetchers"
)

// CallLimit is where the engine ends a call. It is above every upstream.timeout that a
// configuration can have, by which the fetchers end theirs.
const CallLimit = 6 * time.Minute

// Upstream is WeChat's and WeCom's hosts as one configuration names them.
type Upstream struct {
	config.Upstream
	weixin, work *fetchers.Client
	log          hclog.Logger // of what comes in their answers, and which hosts are in use
}

// NewUpstream returns the hosts of cfg, to each of which so many calls are made at once.
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

// Close closes idle connections.
func (u *Upstream) Close() {
	u.weixin.CloseIdleConnections()
	u.work.CloseIdleConnections()
}

// Hosts returns all configured hosts and which of them are in use.
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

// Host returns the host that calls for the credential st go to; "" if it is not fetched.
func (u *Upstream) Host(st credential.Status) string {
	switch st.Kind {
	case refresh.VerifyTicket.String(), refresh.SuiteTicket.String(), refresh.RefreshToken.String(), refresh.PermanentCode.String():
		return ""
	}
	if strings.HasPrefix(st.Name, "work/") || strings.HasPrefix(st.Name, "open_work/") {
		return u.work.Host()
	}
	return u.weixin.Host()
}
