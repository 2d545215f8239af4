package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tokend/daemon/record"
	"tokend/daemon/refresh"
	"tokend/fetchers/secret"
)

// lateAtMost is how late a transaction may take effect. Nothing is at rest before.
const lateAtMost = 70 * time.Second

// rest waits until everything is at rest after the end of all faults, and checks what must be true
// then.
func (w *world) rest(within time.Duration) {
	if w.plan.tight {
		within += 2 * tightWindow
	}
	why, calm := "", 0
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(time.Second) {
		if why = w.unrest(); why != "" {
			calm = 0
			continue
		}
		if calm++; calm < 4 {
			continue
		}
		wrong := w.compare()
		if len(wrong) > 0 && w.forgive() {
			return
		}
		for _, text := range wrong {
			w.violate("at rest: %s", text)
		}
		w.note(nil, "at rest")
		return
	}
	if !w.forgive() {
		w.violate("no rest within %v: %s", within, why)
	}
}

// unrest returns why w is not at rest, or nothing.
func (w *world) unrest() string {
	if n := w.truth.underWay(); n > 0 {
		return fmt.Sprintf("%d calls are under way", n)
	}
	for _, c := range w.claims() {
		what := "claim"
		switch {
		case c.State == record.Doubtful:
			what = "doubt"
		case c.Table == record.Credentials && repeats(c.Name) && w.alive(c):
			continue // a poller keeps its claim
		}
		return fmt.Sprintf("a %s of %s about %s is left", what, c.Host, c.Name)
	}
	for _, h := range w.hosts {
		p := h.current()
		if p == nil || p.engine.Load() == nil {
			return h.name + " is not ready"
		}
		if peers := p.peers.Load(); peers != nil {
			if s := peers.Stats(); s.Offers > 0 || !s.Connected {
				return fmt.Sprintf("%s has %d offers, connected %v", h.name, s.Offers, s.Connected)
			}
		}
		for _, name := range w.plan.names {
			// A host whose wall clock was set by hours over a boot may believe that a value has
			// ended which WeChat repeats. All hosts then ask until its budget is used up.
			if w.reads(h, name) && w.value(p.engine.Load(), name) == "" && !(repeats(name) && w.turned() && w.plan.tight) {
				return fmt.Sprintf("%s does not serve %s", h.name, name)
			}
		}
	}
	return ""
}

// claims returns the claims in etcd.
func (w *world) claims() (all []record.Claim) {
	for _, kv := range w.etcd.Keys(prefix + "/l/") {
		r, ok := w.names.open(w.etcd, kv)
		c, err := record.DecodeClaim(r)
		if !ok || err != nil {
			w.violate("etcd has a claim that nobody can read")
		}
		all = append(all, c)
	}
	return all
}

// alive reports whether the session of a claim has not ended.
func (w *world) alive(c record.Claim) bool {
	kvs := w.etcd.Keys(prefix + "/m/" + c.Host)
	return len(kvs) == 1 && kvs[0].Created == c.Epoch
}

// claimed returns the names that a host has claimed.
func (w *world) claimed(h *host) (names []string) {
	for _, c := range w.claims() {
		switch {
		case c.Host != h.name:
		case c.Table == record.Codes:
			names = append(names, anyCode)
		default:
			names = append(names, c.Name)
		}
	}
	return names
}

// reads reports whether a host must have a value of name.
func (w *world) reads(h *host, name string) bool {
	return !strings.HasSuffix(name, "/pre_auth_code") && !(h.odd == lacksAccount && name == rotatingToken) &&
		!(w.plan.alone && h.odd != likeOthers)
}

func (w *world) value(e *refresh.Engine, name string) string {
	v, _ := e.Cached([]byte(name), e.Now())
	return string(v.Text)
}

// compare returns what is wrong at rest.
func (w *world) compare() (wrong []string) {
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	stored := w.stored()
	newest := w.truth.current()
	for name, newest := range newest {
		if time.Now().After(newest.ends) || newest.orphan {
			continue // nobody reads it, or nobody knows it
		}
		c, _ := record.DecodeCredential(stored[id{record.Credentials, name}])
		// What came with a code and nobody reads, no host has: the next read fetches another.
		first := c.Value == "" && newest.code != "" && !slices.Contains(w.plan.names, name)
		if string(c.Value) != newest.value && !first {
			add("the store has %s, WeChat's newest is %s", w.describe("no value of "+name, c.Value), &newest)
		}
		for _, h := range w.hosts {
			if v := w.value(h.current().engine.Load(), name); v != "" && v != newest.value && w.reads(h, name) {
				add("%s serves %s, WeChat's newest is %s", h.name, w.describe("", secret.Text(v)), &newest)
			}
		}
	}
	for _, c := range customers {
		g, err := record.DecodeGrant(stored[id{record.Grants, c.grant()}])
		if current := w.fake.CurrentGrant(c.owner, c.id); err != nil || !g.Live() || !tried(g, current) {
			add("the grant of %s in the store is not the live one (%s)", c.path, generationOf(g, current))
		}
		for _, h := range w.hosts {
			r, err := h.current().disk.Get(record.Grants, c.grant())
			local, err2 := record.DecodeGrant(r)
			if err != nil || err2 != nil || local.Value != g.Value {
				add("the grant of %s on %s is another than in the store", c.path, h.name)
			}
		}
	}
	for name, k := range w.truth.tickets() {
		c, _ := record.DecodeCredential(stored[id{record.Credentials, name}])
		if string(c.Value) != k.value {
			add("the store has the %s of %v, the newest is of %v", name, c.Stamp.Sub(w.began), k.at.Sub(w.began))
		}
		for _, h := range w.hosts {
			switch w.value(h.current().engine.Load(), name) {
			case k.value:
			case "":
				add("%s has no %s", h.name, name)
			default:
				add("%s does not have the newest %s", h.name, name)
			}
		}
	}
	for _, name := range w.plan.names {
		var hosts, values []string
		for _, h := range w.hosts {
			if w.reads(h, name) {
				hosts, values = append(hosts, h.name), append(values, w.value(h.current().engine.Load(), name))
			}
		}
		switch {
		case len(values) == 0:
		case slices.Contains(values, ""): // the budget is used up: see unrest
		case len(slices.Compact(slices.Sorted(slices.Values(values)))) > 1:
			add("the hosts serve different values of %s", name)
		case !w.accepts(values[0]) && !newest[name].orphan && !w.outlived(name):
			add("%s serves %s, which WeChat does not accept", hosts[0], w.describe(name, secret.Text(values[0])))
		}
	}
	slices.Sort(wrong)
	return slices.Compact(wrong)
}

// accepts reports whether WeChat accepts a value, or did until it ended a moment ago: see served.
func (w *world) accepts(value string) bool {
	w.mu.Lock()
	slack := rounding + w.rewound
	w.mu.Unlock()
	ended := time.Since(w.fake.Ends(value))
	return w.fake.Valid(value) || ended >= 0 && ended < slack
}

// outlived reports whether name is of a ticket whose customer has withdrawn an authorization, and
// the message had not arrived when the customer authorized again: it changes nothing then, and the
// ticket is served until its end or a REJECT.
func (w *world) outlived(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.HasSuffix(name, "_ticket") && slices.ContainsFunc(customers, func(c customer) bool {
		return w.unheard[c] && strings.HasPrefix(name, c.path+"/")
	})
}

// turned reports whether the wall clock of a host is wrong.
func (w *world) turned() bool {
	return slices.ContainsFunc(w.hosts, func(h *host) bool { return time.Until(h.wallClock()).Abs() > time.Second })
}

// id identifies a record.
type id struct {
	table record.Table
	key   string
}

// stored returns all records in etcd, or those of the only host's disk.
func (w *world) stored() map[id]record.Record {
	all := map[id]record.Record{}
	if w.plan.alone {
		for _, table := range []record.Table{record.Credentials, record.Grants} {
			for r := range w.hosts[0].current().disk.All(table) {
				r.Value = slices.Clone(r.Value)
				all[id{table, r.Key}] = r
			}
		}
		return all
	}
	for _, kv := range w.etcd.Keys(prefix + "/") {
		if r, ok := w.names.open(w.etcd, kv); ok {
			all[id{r.Table, r.Key}] = r
		}
	}
	return all
}

// tried reports whether a host tries a grant: the current one, and if WeChat refuses that, those
// that could not land.
func tried(g record.Grant, value string) bool {
	return string(g.Value) == value || slices.ContainsFunc(g.Earlier, func(x record.Generation) bool { return x.Source == record.FromOffer && string(x.Value) == value })
}

// generationOf returns which generation of g a value is.
func generationOf(g record.Grant, value string) string {
	for i, x := range g.Earlier {
		if string(x.Value) == value {
			return fmt.Sprintf("generation %d before it is", i+1)
		}
	}
	return fmt.Sprintf("none of its %d generations is", 1+len(g.Earlier))
}

// forgive reports whether the residual risk was met: a host was paused between the check and the
// send for longer than its lease, called late, and died before the answer. Then no host knows, what
// its peers have is dead after the overlap, and the schedule ends.
func (w *world) forgive() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.residual {
		w.counts.residual++
	}
	return w.residual
}

// budgets checks that no budget was exceeded, as WeChat has counted the calls.
func (w *world) budgets() {
	if !w.plan.tight {
		return
	}
	w.mu.Lock()
	rewound := w.rewound
	w.mu.Unlock()
	w.truth.mu.Lock()
	defer w.truth.mu.Unlock()
	for key, at := range w.truth.spent {
		if !strings.HasPrefix(key, "/cgi-bin/token ") && !strings.Contains(key, "ticket ") {
			continue
		}
		most := tightLimit + max(tightSpare, w.plan.hosts) // the latter while etcd is unreachable
		for i := range at {
			n := 0
			for _, t := range at[i:] {
				if t.Sub(at[i]) < tightWindow-time.Second-rewound { // the call takes longer than its charge
					n++
				}
			}
			if n > most {
				w.violate("%s: %d calls within %v", key, n, tightWindow)
				break
			}
		}
	}
}
