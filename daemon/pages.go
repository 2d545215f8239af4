package daemon

import (
	"context"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"tokend/daemon/access"
	"tokend/daemon/config"
	"tokend/daemon/credential"
	"tokend/daemon/metrics"
	"tokend/daemon/page"
	"tokend/daemon/server/socket"
	"tokend/daemon/survey"
	"tokend/daemon/web"
)

// newCallbacks returns the HTTP server for callbacks.
func (d *Daemon) newCallbacks() *web.Server {
	return web.New(web.Config{Inbox: d.inbox, Ready: d.ready, Logger: d.log.Named("web")})
}

// newPages returns the HTTP server for metrics and the status page. Pages are made per request.
func (d *Daemon) newPages() *web.Server {
	s := &surveyor{Daemon: d}
	scrape := metrics.New(s.measure)
	all := statusPages(page.New(source{s}))
	all["/metrics"] = func(ctx context.Context, _ web.Ask) (web.View, error) {
		write, err := scrape.Scrape(ctx)
		return web.View{Type: metrics.ContentType, Write: write}, err
	}
	server := web.New(web.Config{
		Pages:  all,
		Sees:   func(uid uint32) bool { return d.maySeePages(access.PeerOf(uid)) },
		Admits: d.admits,
		Ready:  d.ready,
		Unseen: func(ask web.Ask) (language, text string) {
			return page.Unseen(page.Ask{Values: ask.Values, Accept: ask.Accept})
		},
		Logger: d.log.Named("web"),
	})
	server.SetMonitors(*d.monitors.Load())
	return server
}

// setPages applies the settings of p, nil for no pages, to the current and the next pages.
func (d *Daemon) setPages(p *config.Pages) {
	if p == nil {
		p = new(config.Pages)
	}
	d.monitors.Store((*web.Monitors)(&p.Monitors))
	d.named.Store(p.CredentialMetrics)
	d.pages.update(func(server *web.Server) { server.SetMonitors(p.Monitors) })
}

// ready reports whether the store is open and loaded, and the engine runs.
func (d *Daemon) ready() bool {
	select {
	case <-d.engine.Loaded():
		return d.running.Load()
	default:
		return false
	}
}

// surveyor makes surveys of a running daemon.
type surveyor struct {
	*Daemon

	mu      sync.Mutex
	census  credential.Census
	counted time.Time // zero for never
	took    time.Duration
}

// censusPause returns how long a census is reused, from the time that making it took. Censuses take
// at most 0.1 % of a processor, because they also evict readers' data from the caches. A census is
// at most 30 s old, unless that would take more than 1 %.
func censusPause(took time.Duration) time.Duration {
	return max(100*took, min(1000*took, 30*time.Second))
}

// measure returns a complete survey. Its iterators walk credentials and quotas until ctx ends.
func (s *surveyor) measure(ctx context.Context) survey.Survey {
	v := s.look()
	v.Named = s.named.Load()
	w := s.engine.Walk(ctx)
	v.Summaries, v.Asked, v.EachQuota, v.Rest = w.Summaries, w.Asked, w.Quotas, w.Rest
	return v
}

// look returns the parts of a survey whose size does not depend on the number of accounts.
func (s *surveyor) look() survey.Survey {
	v := survey.Survey{
		Version:    s.cfg.Version,
		At:         time.Now(),
		Began:      s.began,
		Loaded:     time.Unix(0, s.loaded.Load()),
		Census:     s.count(),
		Refreshes:  s.engine.Refreshes(),
		Durations:  s.engine.Durations(),
		Endpoints:  s.calls.Endpoints(),
		Hosts:      s.up.Load().Hosts(),
		Socket:     s.server.Counts(),
		Store:      s.store.Stats(),
		Pushes:     s.pushes(),
		LogDropped: s.logDropped(),
	}
	if at := s.saved.Load(); at != 0 {
		v.Backup = time.Unix(at, 0)
	}
	select {
	case <-s.engine.Loaded():
	default:
		v.Loading = true
	}
	return v
}

// pushes returns the counters of WeChat's pushes.
func (s *surveyor) pushes() (p survey.Pushes) {
	kinds := map[string]int64{}
	for _, stat := range s.inbox.Stats() {
		switch kind, genuine := strings.CutPrefix(stat.Key, "pushes:"); {
		case genuine:
			kinds[plainKind(kind)] += stat.Value
		case stat.Key == "pushes_failed":
			p.Failed = stat.Value
		case stat.Key == "pushes_previous":
			p.Previous = stat.Value
		case stat.Key == "pushes_refused":
			p.Refused = stat.Value
		}
	}
	p.RefusedFor = s.inbox.Refusals().N
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		p.Kinds = append(p.Kinds, survey.Push{Kind: kind, N: kinds[kind]})
	}
	return p
}

// plainKind returns kind if it looks like WeChat's words, and "other" for any other text that a
// message contains.
func plainKind(kind string) string {
	if kind == "" || len(kind) > 64 || strings.ContainsFunc(kind, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.'
	}) {
		return "other"
	}
	return kind
}

// count returns a recent census.
func (s *surveyor) count() credential.Census {
	s.mu.Lock()
	defer s.mu.Unlock()
	if began := time.Now(); s.counted.IsZero() || began.Sub(s.counted) >= censusPause(s.took) {
		s.census = s.engine.Census()
		s.counted = time.Now()
		s.took = s.counted.Sub(began)
	}
	return s.census
}

// maySeePages reports whether a user of this host may see the status page and the metrics. A user
// may if the socket would show the user the same.
func (d *Daemon) maySeePages(peer access.Peer) bool {
	if peer.UID == 0 || peer.UID == uint32(os.Geteuid()) {
		return true
	}
	return d.server.RightsOf(peer).MaySeePages() && access.MayConnect(d.listeners[0].Addr().String(), peer)
}

// admits is maySeePages for the peer of a connection over a Unix socket.
func (d *Daemon) admits(nc net.Conn) (uid uint32, ok bool, err error) {
	peer, err := socket.Peer(nc)
	return peer.UID, err == nil && d.maySeePages(peer), err
}
