package metrics

import (
	"iter"
	"runtime"
	"strconv"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/survey"
)

// survey writes all metrics of v.
func (t *text) survey(v *survey.Survey) {
	t.daemon(v)
	t.credentials(v)
	t.customers(v)
	t.quotas(v)
	t.upstream(v)
	t.pushes(v)
	t.socket(v)
	t.store(v)
}

func (t *text) daemon(v *survey.Survey) {
	t.gauge("build_info", "1, with the version of tokend.").add(1, label{"goversion", runtime.Version()}, label{"version", v.Version})
	t.gauge("config_loaded_timestamp_seconds", "When the current configuration was read.").timestamp(v.Loaded)
	t.counter("log_dropped_total", "Log lines dropped because the reader of the log was too slow or had exited.").count(v.LogDropped)
	if !v.Backup.IsZero() {
		t.gauge("last_backup_timestamp_seconds", "When the last complete backup was sent.").timestamp(v.Backup)
	}
	t.gauge("loading", "1 while tokend reads its store after a start: counts are incomplete then.").add(number(v.Loading))
}

// credentials writes the series of configured credentials, if they are named, and the totals. Each
// metric takes a walk through the credentials. Metrics that the first walk has found empty are
// skipped.
func (t *text) credentials(v *survey.Survey) {
	var sum totals
	states := t.gauge("credential_state", "1 for the current state of a configured credential, 0 for the other states.")
	each(t, v.Summaries, func(c *credential.Summary) {
		sum.add(c)
		switch {
		case !v.Named:
		// Most accounts use few of their credentials. The zeros of the others would be half of the
		// scrape.
		case c.State == credential.Idle:
			states.count(1, label{"kind", c.Kind}, label{"name", c.Name}, label{"state", c.State.String()})
		default:
			states.set(int(c.State), stateValues, label{"kind", c.Kind}, label{"name", c.Name})
		}
	})
	if v.Named {
		t.named(v.Asked, &sum)
	}
	t.totals(&sum)
}

// stateValues are the samples of each state.
var stateValues = func() (all []setValue) {
	for state := range credential.StateCount {
		all = append(all, newSetValue("state", credential.State(state).String()))
	}
	return all
}()

// named writes the series of configured credentials, except their states. Credentials that were
// never requested have none.
func (t *text) named(all iter.Seq[*credential.Summary], sum *totals) {
	when := func(f *family, some bool, of func(*credential.Summary) time.Time) {
		if !some {
			return
		}
		each(t, all, func(c *credential.Summary) {
			if at := of(c); !at.IsZero() {
				f.timestamp(at, label{"kind", c.Kind}, label{"name", c.Name})
			}
		})
	}
	when(t.gauge("credential_expiry_timestamp_seconds", "When the newest value of a configured credential expires or expired."),
		sum.valued, func(c *credential.Summary) time.Time { return c.ExpiresAt })
	when(t.gauge("credential_fetched_timestamp_seconds", "When the newest value of a configured credential was fetched or pushed."),
		sum.valued, func(c *credential.Summary) time.Time { return c.FetchedAt })
	when(t.gauge("credential_next_refresh_timestamp_seconds", "When a configured credential is refreshed next."),
		sum.scheduled, func(c *credential.Summary) time.Time { return c.NextRefresh })
	if len(sum.failing) > 0 {
		failures := t.gauge("credential_failures", "Failed refreshes of a configured credential since the last success, with the last errcode.")
		each(t, all, func(c *credential.Summary) {
			if c.Failures > 0 {
				failures.count(int64(c.Failures), label{"errcode", errcode(c.ErrCode, "none")}, label{"kind", c.Kind}, label{"name", c.Name})
			}
		})
	}
	if sum.undurable {
		undurable := t.gauge("credential_undurable", "1 for a configured credential whose value is served from memory and not on disk.")
		each(t, all, func(c *credential.Summary) {
			if !c.Durable {
				undurable.count(1, label{"kind", c.Kind}, label{"name", c.Name})
			}
		})
	}
}

// customers writes the totals that include customers' credentials.
func (t *text) customers(v *survey.Survey) {
	customers := t.gauge("customer_credentials", "Credentials of a platform's or a suite's customers in memory, by state.")
	for _, c := range v.Census.Customers {
		for state, n := range c.States {
			customers.add(float64(n), label{"kind", c.Kind}, label{"platform", c.Platform}, label{"state", credential.State(state).String()})
		}
	}
	holds := t.gauge("holds", "Held credentials, including customers', by reason; action is yes if an operator or customer must act, or a quota must recover.")
	for _, h := range v.Census.Holds {
		acts := "no"
		if h.Acts() {
			acts = "yes"
		}
		holds.add(float64(h.N), label{"action", acts}, label{"errcode", errcode(h.ErrCode, "none")}, label{"kind", h.Kind}, label{"reason", h.Reason.String()})
	}
}

// quotas writes the budgets, per account if accounts are named, and the most spent budget of each
// kind.
func (t *text) quotas(v *survey.Survey) {
	var most mostSpent
	spent := t.gauge("budget_spent", "Calls within the last window that count against a budget of a configured account.")
	each(t, v.EachQuota(true), func(q *credential.Quota) {
		most.add(q)
		if named(v, q) {
			spent.count(int64(q.Spent), label{"account", q.Account}, label{"budget", q.Word})
		}
	})
	write := func(f *family, of func(*credential.Quota) int64) {
		each(t, v.EachQuota(false), func(q *credential.Quota) {
			if named(v, q) {
				f.count(of(q), label{"account", q.Account}, label{"budget", q.Word})
			}
		})
	}
	write(t.gauge("budget_limit", "Calls that a budget allows within a window."),
		func(q *credential.Quota) int64 { return int64(q.Limit) })
	write(t.gauge("budget_window_seconds", "The length of a budget's window."),
		func(q *credential.Quota) int64 { return int64(q.Window / time.Second) })
	ratio := t.gauge("budget_most_spent_ratio", "The largest spent part of a budget among all accounts, 0 to 1.")
	for _, m := range most {
		ratio.add(m.ratio, label{"budget", m.word})
	}
}

// upstream writes the metrics of refreshes and of calls to WeChat.
func (t *text) upstream(v *survey.Survey) {
	refreshes := t.counter("refreshes_total", "Refreshes by outcome: another value (ok), the cached value (same), an error (failed).")
	refreshes.count(v.Refreshes.OK, label{"outcome", "ok"})
	refreshes.count(v.Refreshes.Same, label{"outcome", "same"})
	refreshes.count(v.Refreshes.Failed, label{"outcome", "failed"})
	took := t.family("refresh_duration_seconds", "histogram", "The duration of refreshes by kind, successful or not.")
	for i := range v.Durations {
		h := &v.Durations[i]
		took.histogram(h.Buckets, h.N, h.Took, label{"kind", h.Kind})
	}
	calls := t.counter("upstream_calls_total", "Calls to WeChat by result: success (ok), an errcode (refused), no valid response (unreachable).")
	for i := range v.Endpoints {
		e := &v.Endpoints[i]
		which := label{"endpoint", e.Path}
		calls.count(e.OK, which, label{"result", "ok"})
		calls.count(e.Refused, which, label{"result", "refused"})
		calls.count(e.Unreachable, which, label{"result", "unreachable"})
	}
	refusals := t.counter("upstream_refusals_total", "Errcodes from WeChat; other counts those beyond the first 64 of an endpoint.")
	for i := range v.Endpoints {
		e := &v.Endpoints[i]
		for _, c := range e.Codes {
			refusals.count(c.N, label{"endpoint", e.Path}, label{"errcode", errcode(c.ErrCode, "other")})
		}
	}
	hosts := t.gauge("upstream_host_in_use", "1 for the host that calls go to, 0 for the other configured hosts.")
	for _, h := range v.Hosts {
		hosts.add(number(h.Used), label{"api", h.API}, label{"host", h.Name})
	}
	duration := t.family("upstream_call_duration_seconds", "histogram", "The duration of calls to WeChat.")
	for i := range v.Endpoints {
		e := &v.Endpoints[i]
		duration.histogram(e.Buckets, e.Calls(), e.Took, label{"endpoint", e.Path})
	}
}

// pushes writes the metrics of WeChat's pushes.
func (t *text) pushes(v *survey.Survey) {
	genuine := t.counter("pushes_total", "Genuine pushes from WeChat.")
	for _, p := range v.Pushes.Kinds {
		genuine.count(p.N, label{"kind", p.Kind})
	}
	t.counter("pushes_failed_total", "Genuine pushes that could not be stored.").count(v.Pushes.Failed)
	t.counter("pushes_previous_total", "Genuine pushes that only the previous token or key opened.").count(v.Pushes.Previous)
	refused := t.counter("pushes_refused_total", "Refused pushes by reason.")
	for why, n := range v.Pushes.RefusedFor {
		refused.count(n, label{"reason", credential.Refusal(why).String()})
	}
}

// socket writes the metrics of connections and requests.
func (t *text) socket(v *survey.Survey) {
	c := &v.Socket
	t.gauge("connections", "Open connections to the socket.").add(float64(c.Open))
	t.counter("connections_total", "Connections to the socket, including refused ones.").count(c.Connections)
	t.counter("connections_turned_away_total", "Connections to the socket that were refused because a limit was reached.").count(c.TurnedAway)
	errors := map[string]int64{} // by verb
	for _, e := range c.Errors {
		errors[e.Verb] += e.N
	}
	requests := t.counter("requests_total", "Requests by verb and outcome.")
	for _, r := range c.Requests {
		n := min(errors[r.Verb], r.N)
		requests.count(r.N-n, label{"outcome", "ok"}, label{"verb", r.Verb})
		requests.count(n, label{"outcome", "error"}, label{"verb", r.Verb})
	}
	failed := t.counter("request_errors_total", "Error replies; the verb is none for malformed requests and refused connections.")
	for _, e := range c.Errors {
		verb := e.Verb
		if verb == "" {
			verb = "none"
		}
		failed.count(e.N, label{"code", e.Code}, label{"verb", verb})
	}
	t.counter("reads_total", "Allowed GET and SIGN requests.").count(c.Reads)
	t.counter("read_hits_total", "GET and SIGN requests that were answered from memory.").count(c.Hits)
	t.counter("read_waits_total", "GET and SIGN requests that had to wait.").count(c.Waits)
	t.counter("slowed_total", "Pauses because a user of this host sent too many requests.").count(c.Slowed)
	t.counter("audit_dropped_total", "Audit lines omitted because there were too many.").count(c.Unaudited)
}

// store writes the metrics of the disk.
func (t *text) store(v *survey.Survey) {
	st := &v.Store
	t.counter("store_writes_total", "Writes that the database has made durable.").count(st.Puts)
	took := t.family("store_commit_duration_seconds", "summary", "The duration of the database's commits, each with one sync, successful or not.")
	took.part("_sum", st.Took.Seconds())
	took.part("_count", float64(st.Commits+st.Failed))
	t.counter("store_commits_failed_total", "Commits of the database that failed.").count(st.Failed)
	t.counter("store_journal_appends_total", "Entries that the grant journal has made durable.").count(st.Journaled)
	t.counter("store_journal_failed_total", "Entries that the grant journal could not write.").count(st.JournalFailed)
	t.gauge("store_refusing", "1 while the disk refuses writes: fetched values are served from memory.").add(number(st.Refusing))
	t.gauge("store_pending_records", "Records in the grant journal that are not in the database yet.").add(float64(st.Pending))
	t.gauge("store_missing_commits", "Committed writes that the database had lost when it was opened.").add(float64(st.Missing))
}

// named reports whether q is written as a series of its own. A budget of a whole host always is.
func named(v *survey.Survey, q *credential.Quota) bool { return v.Named || q.Account == "" }

// errcode returns the label of an errcode; absent for 0.
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
