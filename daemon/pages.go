package daemon

import (
	"context"
	"maps"
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
	"tokend/daemon/survey"
	"tokend/daemon/web"
)

// newWeb returns what answers HTTP: callbacks, and pages that say how d stands. They are made when
// somebody looks, and nothing is made of them before the first listener there is.
func (d *Daemon) newWeb() *web.Server {
	s := &surveyor{Daemon: d}
	scrape, status := metrics.New(s.measure), page.New(s.overview)
	show := func(_ context.Context, ask web.Ask) (web.View, error) {
		language, body, err := status.Show(ask.Language, ask.Accept)
		return web.View{Type: page.Type, Language: language, Policy: status.Policy(), Body: body}, err
	}
	server := web.New(web.Config{
		Inbox: d.inbox,
		Pages: map[string]web.Page{
			"/":       show,
			"/status": show,
			"/metrics": func(ctx context.Context, _ web.Ask) (web.View, error) {
				write, err := scrape.Scrape(ctx)
				return web.View{Type: metrics.ContentType, Write: write}, err
			},
		},
		Sees:   d.maySeePages,
		Unseen: func(ask web.Ask) (language, text string) { return page.Unseen(ask.Language, ask.Accept) },
		Logger: d.log.Named("web"),
	})
	d.setPages(server, d.file.HTTP)
	return server
}

// setPages has the pages as h wants them.
func (d *Daemon) setPages(server *web.Server, h *config.HTTP) {
	server.SetMonitors(h.Monitors)
	d.named.Store(h.CredentialMetrics)
}

// surveyor looks at a daemon that runs.
type surveyor struct {
	*Daemon

	mu      sync.Mutex
	census  credential.Census
	counted time.Time // zero for never
	took    time.Duration
}

// censusPause returns how long a census that took so long is good for. Whoever asks, and however
// often, it takes a thousandth of a processor, and besides evicts from its caches what readers
// need; and it is no older than half a minute unless it would then take a hundredth.
func censusPause(took time.Duration) time.Duration {
	return max(100*took, min(1000*took, 30*time.Second))
}

// overview returns how everything stands.
func (s *surveyor) overview() survey.Survey {
	v := s.look()
	v.Credentials, v.Quotas = s.engine.Overview(), s.engine.Quotas()
	return v
}

// measure returns the same with what there are very many of to be walked through, until ctx ends.
func (s *surveyor) measure(ctx context.Context) survey.Survey {
	v := s.look()
	v.Named = s.named.Load()
	w := s.engine.Walk(ctx)
	v.Standings, v.EachQuota, v.Rest = w.Standings, w.Quotas, w.Rest
	return v
}

// look returns how everything stands that there are few of.
func (s *surveyor) look() survey.Survey {
	v := survey.Survey{
		Version:    s.cfg.Version,
		At:         time.Now(),
		Began:      s.began,
		Loaded:     time.Unix(0, s.loaded.Load()),
		Census:     s.count(),
		Refreshes:  s.engine.Refreshes(),
		Endpoints:  s.calls.Endpoints(),
		Hosts:      s.up.Load().Hosts(),
		Socket:     s.server.Counts(),
		Store:      s.store.Stats(),
		Pushes:     s.pushes(),
		LogDropped: s.logDropped(),
	}
	select {
	case <-s.engine.Loaded():
	default:
		v.Loading = true
	}
	return v
}

// pushes returns what WeChat has pushed.
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
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		p.Kinds = append(p.Kinds, survey.Push{Kind: kind, N: kinds[kind]})
	}
	return p
}

// plainKind returns the kind of a push if it is a word as WeChat's are, and "other" for what else a
// message may call itself.
func plainKind(kind string) string {
	if kind == "" || len(kind) > 64 || strings.ContainsFunc(kind, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.'
	}) {
		return "other"
	}
	return kind
}

// count returns a census that is not too old.
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

// maySeePages reports whether the user uid of this host may see the status page and the metrics: it
// can open the socket, which shows it the same.
func (d *Daemon) maySeePages(uid uint32) bool {
	if uid == 0 || uid == uint32(os.Geteuid()) {
		return true
	}
	peer := access.PeerOf(uid)
	return d.server.RightsOf(peer).MaySeePages() && access.MayConnect(d.listeners[0].Addr().String(), peer)
}
