package daemon

import (
	"github.com/hashicorp/go-hclog"

	"tokend/daemon/config"
	"tokend/fetchers"
)

// upstream is the two hosts as one configuration names them.
type upstream struct {
	config.Upstream
	weixin, work *fetchers.Client
	log          hclog.Logger // of what comes in their answers
}

func newUpstream(cfg config.Upstream, calls *calls, log hclog.Logger) *upstream {
	return &upstream{
		Upstream: cfg,
		log:      log.Named("upstream"),
		weixin:   &fetchers.Client{URL: cfg.WeixinURL, Timeout: cfg.Timeout, Observe: calls.observe},
		work:     &fetchers.Client{URL: cfg.WorkURL, Timeout: cfg.Timeout, Observe: calls.observe},
	}
}

func (u *upstream) close() {
	u.weixin.CloseIdleConnections()
	u.work.CloseIdleConnections()
}
