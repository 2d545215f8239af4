package daemon

import (
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"tokend/daemon/access"
	"tokend/daemon/metrics"
	"tokend/daemon/page"
	"tokend/daemon/refresh"
	"tokend/daemon/survey"
	"tokend/daemon/web"
)

// newWeb returns what answers HTTP: callbacks, and pages that say how d stands. They are made when
// somebody looks, and nothing is made of them before the first listener there is.
func (d *Daemon) newWeb() *web.Server {
	s := &surveyor{Daemon: d}
	scrape, status := metrics.New(s.look), page.New(s.look)
	show := func(ask web.Ask) (web.View, error) {
		language, body, err := status.Show(ask.Language, ask.Accept)
		return web.View{Type: page.Type, Language: language, Policy: status.Policy(), Body: body}, err
	}
	server := web.New(web.Config{
		Inbox: d.inbox,
		Pages: map[string]web.Page{
			"/":       show,
			"/status": show,
			"/metrics": func(web.Ask) (web.View, error) {
				contentType, body, err := scrape.Scrape()
				return web.View{Type: contentType, Body: body}, err
			},
		},
		Sees:   d.maySeePages,
		Unseen: func(ask web.Ask) (language, text string) { return page.Unseen(ask.Language, ask.Accept) },
		Logger: d.log.Named("web"),
	})
	server.SetMonitors(d.file.HTTP.Monitors)
	return server
}

// surveyor looks at a daemon that runs.
type surveyor struct {
	*Daemon

	mu      sync.Mutex
	census  refresh.Census
	counted time.Time // zero for never
	took    time.Duration
}

// censusPause returns how long a census that took so long is good for. Whoever asks, and however
// often, it takes a thousandth of a processor, and besides evicts from its caches what readers
// need; and it is no older than half a minute unless it would then take a hundredth.
func censusPause(took time.Duration) time.Duration {
	return max(100*took, min(1000*took, 30*time.Second))
}

// look returns how everything stands.
func (s *surveyor) look() survey.Survey {
	v := survey.Survey{
		Version:     s.cfg.Version,
		At:          time.Now(),
		Began:       s.began,
		Loaded:      time.Unix(0, s.loaded.Load()),
		Credentials: s.engine.Overview(),
		Census:      s.count(),
		Quotas:      s.engine.Quotas(),
		Refreshes:   s.engine.Refreshes(),
		Endpoints:   s.calls.endpoints(),
		Hosts:       s.up.Load().hosts(),
		Socket:      s.server.Counts(),
		Store:       s.store.Stats(),
		Pushes:      s.pushes(),
		LogDropped:  s.logDropped(),
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
func (s *surveyor) count() refresh.Census {
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
