package metrics

import (
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tokend/daemon/refresh"
	"tokend/daemon/survey"
)

// collector is a daemon, as it stood at one moment, as Prometheus takes it in.
type collector struct {
	survey.Survey
	descs *descs
}

// Describe names no metric: they stand in Collect, once. The library then checks what it is sent, and nothing before.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends what there is.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s, v := sink{ch, c.descs}, &c.Survey
	s.daemon(v)
	for i := range v.Credentials {
		s.credential(&v.Credentials[i])
	}
	s.crowds(v)
	s.upstream(v)
	s.socket(v)
	s.store(v)
}

// sink takes in single metrics.
type sink struct {
	ch    chan<- prometheus.Metric
	descs *descs
}

// label is one label of a metric.
type label struct{ name, value string }

// descs are the descriptions of metrics, by name; each is made once, since to make and check it takes longer than all
// else of a metric. The zero value is ready.
type descs struct{ byName sync.Map }

// of returns the description of the metric tokend_<name>, whose labels are always the same.
func (ds *descs) of(name, help string, labels []label) *prometheus.Desc {
	if d, ok := ds.byName.Load(name); ok {
		return d.(*prometheus.Desc)
	}
	names := make([]string, len(labels))
	for i, l := range labels {
		names[i] = l.name
	}
	d, _ := ds.byName.LoadOrStore(name, prometheus.NewDesc("tokend_"+name, help, names, nil))
	return d.(*prometheus.Desc)
}

// describe returns the description of the metric tokend_<name>, and the values of its labels.
func (s sink) describe(name, help string, labels []label) (*prometheus.Desc, []string) {
	values := make([]string, len(labels))
	for i, l := range labels {
		values[i] = l.value
	}
	return s.descs.of(name, help, labels), values
}

// send takes in m, or the error that the scrape is then to end with.
func (s sink) send(d *prometheus.Desc, m prometheus.Metric, err error) {
	if err != nil {
		m = prometheus.NewInvalidMetric(d, err)
	}
	s.ch <- m
}

func (s sink) gauge(name, help string, value float64, labels ...label) {
	d, values := s.describe(name, help, labels)
	m, err := prometheus.NewConstMetric(d, prometheus.GaugeValue, value, values...)
	s.send(d, m, err)
}

func (s sink) counter(name, help string, value int64, labels ...label) {
	d, values := s.describe(name, help, labels)
	m, err := prometheus.NewConstMetric(d, prometheus.CounterValue, float64(value), values...)
	s.send(d, m, err)
}

func (s sink) daemon(v *survey.Survey) {
	s.gauge("build_info", "1; which tokend this is.", 1, label{"version", v.Version}, label{"goversion", runtime.Version()})
	s.gauge("config_loaded_timestamp_seconds", "When the configuration in force was read.", seconds(v.Loaded))
	s.gauge("loading", "1 while what was kept is being read after a start: credentials are not all counted yet.", number(v.Loading))
}

// credential sends how a configured credential stands.
func (s sink) credential(c *refresh.Status) {
	which := []label{{"name", c.Name}, {"kind", c.Kind}}
	with := func(name, value string) []label { return append(which[:2:2], label{name, value}) }
	s.gauge("credential_state", "1 for the state that a configured credential is in.", 1, with("state", c.State.String())...)
	if !c.ExpiresAt.IsZero() {
		s.gauge("credential_expiry_timestamp_seconds", "When the newest value of a configured credential ends or has ended.", seconds(c.ExpiresAt), which...)
		s.gauge("credential_fetched_timestamp_seconds", "When the newest value of a configured credential was fetched or pushed.", seconds(c.FetchedAt), which...)
	}
	if !c.NextRefresh.IsZero() {
		s.gauge("credential_next_refresh_timestamp_seconds", "When a configured credential is refreshed next.", seconds(c.NextRefresh), which...)
	}
	if c.Failures > 0 {
		s.gauge("credential_failures", "Refreshes of a configured credential that have failed since one that has not, with WeChat's last errcode.",
			float64(c.Failures), with("errcode", errcode(c.ErrCode, "none"))...)
	}
	if !c.Durable {
		s.gauge("credential_undurable", "1 for a configured credential whose value is served and not on disk.", 1, which...)
	}
}

// crowds sends what is counted and not named one by one.
func (s sink) crowds(v *survey.Survey) {
	for _, c := range v.Census.Customers {
		for state, n := range c.States {
			s.gauge("customer_credentials", "Credentials of a platform's or a suite's customers that are in memory, by state.", float64(n),
				label{"platform", c.Platform}, label{"kind", c.Kind}, label{"state", refresh.State(state).String()})
		}
	}
	for _, h := range v.Census.Holds {
		acts := "no"
		if h.Acts() {
			acts = "yes"
		}
		s.gauge("holds", "Credentials, customers' among them, that are not asked for just now, by why; action says whether somebody must act, or a quota run out its time.",
			float64(h.N), label{"kind", h.Kind}, label{"reason", h.Reason.String()}, label{"errcode", errcode(h.ErrCode, "none")}, label{"action", acts})
	}
	for _, q := range v.Quotas {
		which := []label{{"account", q.Account}, {"budget", q.Word}}
		s.gauge("budget_spent", "Calls within the last window that a budget of a configured account has paid for.", float64(q.Spent), which...)
		s.gauge("budget_limit", "Calls that a budget allows within a window.", float64(q.Limit), which...)
		s.gauge("budget_window_seconds", "How long the window of a budget is.", q.Window.Seconds(), which...)
	}
}

// upstream sends what has come of the calls to WeChat, and from it.
func (s sink) upstream(v *survey.Survey) {
	const refreshes = "Refreshes, by what they brought: another value (ok), the one that was held (same), an error (failed)."
	s.counter("refreshes_total", refreshes, v.Refreshes.OK, label{"outcome", "ok"})
	s.counter("refreshes_total", refreshes, v.Refreshes.Same, label{"outcome", "same"})
	s.counter("refreshes_total", refreshes, v.Refreshes.Failed, label{"outcome", "failed"})
	const calls = "Calls to WeChat, by what came: an answer (ok), an errcode (refused), no answer or nonsense (unreachable)."
	for _, e := range v.Endpoints {
		which := label{"endpoint", e.Path}
		s.counter("upstream_calls_total", calls, e.OK, which, label{"result", "ok"})
		s.counter("upstream_calls_total", calls, e.Refused, which, label{"result", "refused"})
		s.counter("upstream_calls_total", calls, e.Unreachable, which, label{"result", "unreachable"})
		for _, c := range e.Codes {
			s.counter("upstream_refusals_total", "Errcodes that WeChat has answered with; other stands for those beyond the first 64 of an endpoint.",
				c.N, which, label{"errcode", errcode(c.ErrCode, "other")})
		}
		buckets, sum := make(map[float64]uint64, len(e.Buckets)), uint64(0)
		for i, bound := range survey.Buckets {
			sum += uint64(e.Buckets[i])
			buckets[bound.Seconds()] = sum
		}
		d, values := s.describe("upstream_call_duration_seconds", "How long calls to WeChat took.", []label{which})
		m, err := prometheus.NewConstHistogram(d, uint64(e.Calls()), e.Took.Seconds(), buckets, values...)
		s.send(d, m, err)
	}
	for _, p := range v.Pushes.Kinds {
		s.counter("pushes_total", "Genuine messages that WeChat has pushed.", p.N, label{"kind", p.Kind})
	}
	s.counter("pushes_failed_total", "Genuine messages that WeChat has pushed and that could not be kept.", v.Pushes.Failed)
	s.counter("pushes_refused_total", "Pushes that were malformed, or not signed or addressed as they have to be.", v.Pushes.Refused)
}

// socket sends what has been asked over the socket.
func (s sink) socket(v *survey.Survey) {
	c := &v.Socket
	s.gauge("connections", "Connections to the socket.", float64(c.Open))
	s.counter("connections_total", "Connections to the socket that were accepted, those turned away among them.", c.Connections)
	s.counter("connections_turned_away_total", "Connections to the socket for which there was no room.", c.TurnedAway)
	for _, r := range c.Requests {
		s.counter("requests_total", "Requests.", r.N, label{"verb", r.Verb})
	}
	for _, e := range c.Errors {
		verb := e.Verb
		if verb == "" {
			verb = "none"
		}
		s.counter("request_errors_total", "Requests that were answered with an error; verb none stands for what was no request, and connections turned away.",
			e.N, label{"verb", verb}, label{"code", e.Code})
	}
	s.counter("reads_total", "GET and SIGN that were granted.", c.Reads)
	s.counter("read_hits_total", "GET and SIGN that were answered from memory.", c.Hits)
	s.counter("read_waits_total", "GET and SIGN that had to wait.", c.Waits)
	s.counter("slowed_total", "Pauses because a user of this host asked too much.", c.Slowed)
	s.counter("audit_dropped_total", "Lines left out of the audit because there were too many.", c.Unaudited)
}

// store sends how the disk does.
func (s sink) store(v *survey.Survey) {
	st := &v.Store
	s.counter("store_writes_total", "Writes that the database has made durable.", st.Puts)
	d, values := s.describe("store_commit_duration_seconds", "How long the database took to make groups of writes durable, by one sync each, or to fail to.", nil)
	m, err := prometheus.NewConstSummary(d, uint64(st.Commits+st.Failed), st.Took.Seconds(), nil, values...)
	s.send(d, m, err)
	s.counter("store_commits_failed_total", "Groups of writes that the database has not taken.", st.Failed)
	s.counter("store_journal_appends_total", "Entries that the grant journal has made durable.", st.Journaled)
	s.counter("store_journal_failed_total", "Entries that the grant journal has not taken.", st.JournalFailed)
	s.gauge("store_refusing", "1 while the disk does not take what is to be written: what is fetched is served from memory.", number(st.Refusing))
	s.gauge("store_pending_records", "Records that the grant journal has and the database not yet.", float64(st.Pending))
	s.gauge("store_missing_commits", "Acknowledged commits that the database had lost when it was opened.", float64(st.Missing))
}

// errcode is the label of an errcode, or of its absence.
func errcode(n int, absent string) string {
	if n == 0 {
		return absent
	}
	return strconv.Itoa(n)
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
