package refresh

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/quota"
	"tokend/daemon/throttle"
	"tokend/fetchers"
)

// Status returns all there is to say of name. Its error is a *credential.Error.
func (e *Engine) Status(name string) (credential.Status, error) {
	if err := e.ready(context.Background()); err != nil {
		return credential.Status{}, err
	}
	en := e.index.get(name)
	if en == nil {
		// Asking how a credential is does not count as asking for it.
		spec, err := (*e.catalog.Load()).Lookup(name)
		if err != nil {
			return credential.Status{}, err
		}
		if spec.Policy.Grant {
			s, err := e.grants.status(spec, e.fingerprints)
			s.Shared = e.shared(&spec)
			return s, err
		}
		en = e.newEntry(&spec)
		if err := e.inherit(en, &spec); err != nil {
			return credential.Status{}, err
		}
		e.dropped.restore(en)
	}
	spec, err := e.lookup(name)
	if err != nil {
		return credential.Status{}, err
	}
	shared := e.shared(&spec)
	en.mu.Lock()
	defer en.mu.Unlock()
	s := e.statusLocked(en, &spec)
	s.Shared = shared
	return s, nil
}

// statusLocked returns all there is to say of en, which is spec's. en.mu is held.
func (e *Engine) statusLocked(en *entry, spec *Spec) credential.Status {
	now := e.clock.Now()
	s := credential.Status{Listing: en.listingLocked(now), Kind: spec.Policy.Word, Pushed: spec.Policy.Pushed > 0, Parent: spec.Parent, Durable: !en.volatile, Readers: &en.readers}
	if name := e.host(spec).Name; name != nil && spec.Fetcher != nil {
		s.Host = name()
	}
	if c := en.current.Load(); c != nil {
		s.FetchedAt = e.clock.Wall(c.issued).UTC()
		s.ExpiresAt = e.clock.Wall(c.end).UTC()
		s.Fingerprint = e.fingerprints.of(c.text)
	}
	if next := en.nextLocked(now); next != 0 {
		s.NextRefresh = e.clock.Wall(next).UTC()
	}
	if h := en.holdLocked(now); h != nil {
		s.LastError, s.ErrCode, s.Address, s.Failures = h.message, h.errcode, h.address, h.failures
		s.ErrorAt = e.clock.Wall(h.since).UTC()
		s.Held, s.Reason, s.Reaction, s.Derived = h.personal(), h.reason, h.class, h.derived
		if h.until != never {
			s.HoldUntil = e.clock.Wall(h.until).UTC()
		}
	}
	return s
}

// History returns the last refreshes of name, newest first, those of earlier runs too. Its error is
// a *credential.Error.
func (e *Engine) History(name string) ([]credential.Attempt, error) {
	if err := e.ready(context.Background()); err != nil {
		return nil, err
	}
	kept := e.keptHistory(name)
	en := e.index.get(name)
	if en == nil {
		_, err := (*e.catalog.Load()).Lookup(name)
		if err != nil {
			kept = nil
		}
		return kept, err
	}
	en.mu.Lock()
	run := en.history.newestFirst()
	en.mu.Unlock()
	return joinHistories(run, kept), nil
}

// Refreshes returns how many refreshes there were since the engine was made.
func (e *Engine) Refreshes() credential.Refreshes {
	return credential.Refreshes{OK: e.counts.renewed.Load(), Same: e.counts.repeated.Load(), Failed: e.counts.failed.Load()}
}

// Durations returns how long refreshes took, by kind.
func (e *Engine) Durations() (all []credential.Durations) {
	e.counts.mu.Lock()
	byKind := map[string]*credential.Durations{} // some policies share a word
	for _, h := range e.counts.took {
		of := byKind[h.Kind]
		if of == nil {
			of = &credential.Durations{Kind: h.Kind}
			byKind[h.Kind] = of
		}
		of.N += h.N
		of.Took += h.Took
		for i, n := range h.Buckets {
			of.Buckets[i] += n
		}
	}
	e.counts.mu.Unlock()
	for _, kind := range slices.Sorted(maps.Keys(byKind)) {
		all = append(all, *byKind[kind])
	}
	return all
}

// Stats returns the engine's counters and how many credentials stand where.
func (e *Engine) Stats() []credential.Stat {
	e.awaitLoaded()
	stats := []credential.Stat{
		{Key: "calls", Value: e.counts.fetches.Load()},
		{Key: "refreshes:ok", Value: e.counts.renewed.Load()},
		{Key: "refreshes:same", Value: e.counts.repeated.Load()},
		{Key: "refreshes:failed", Value: e.counts.failed.Load()},
	}
	var states [credential.StateCount]int64
	now, undurable := e.clock.Now(), len(e.grants.refused())
	work := e.cfg.Throttle.Begin(e.base)
	defer work.End()
	for en := range e.index.each {
		work.Step()
		en.mu.Lock()
		states[en.stateLocked(now)]++
		if en.volatile {
			undurable++
		}
		en.mu.Unlock()
	}
	stats = append(stats, credential.Stat{Key: "undurable", Value: int64(undurable)})
	for s, n := range states {
		if credential.State(s) != credential.Idle {
			stats = append(stats, credential.Stat{Key: "credentials:" + credential.State(s).String(), Value: n})
		}
	}
	slices.SortFunc(stats, func(a, b credential.Stat) int { return cmp.Compare(a.Key, b.Key) })
	return stats
}

// Census walks through all there is in memory and counts it. It takes some tenths of a microsecond
// for each credential, and holds up no reader.
func (e *Engine) Census() credential.Census {
	type group struct {
		kind     *policy.Policy
		platform string
	}
	type cause struct {
		kind    *policy.Policy
		reason  credential.Reason
		errcode int
		class   fetchers.Reaction
	}
	customers := map[group]*[credential.StateCount]int{}
	holds := map[cause]int{}
	now := e.clock.Now()
	work := e.cfg.Throttle.Begin(e.base)
	defer work.End()
	for en := range e.index.each {
		work.Step()
		en.mu.Lock()
		if en.gone() != nil {
			en.mu.Unlock()
			continue
		}
		state, h, kind := en.stateLocked(now), en.hold, en.policy()
		en.mu.Unlock()
		if kind.Lapses && !kind.Configured {
			f := group{kind, credential.OwnerOf(en.name)}
			states := customers[f]
			if states == nil {
				states = new([credential.StateCount]int)
				customers[f] = states
			}
			states[state]++
		}
		if h != nil && now < h.until {
			holds[cause{kind, h.reason, h.errcode, h.class}]++
		}
	}
	var c credential.Census
	for f, states := range customers {
		c.Customers = append(c.Customers, credential.CustomerStates{Platform: f.platform, Kind: f.kind.String(), States: *states})
	}
	for h, n := range holds {
		c.Holds = append(c.Holds, credential.Holds{Kind: h.kind.String(), Reason: h.reason, ErrCode: h.errcode, Reaction: h.class, N: n})
	}
	slices.SortFunc(c.Customers, func(a, b credential.CustomerStates) int {
		return cmp.Or(cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.Kind, b.Kind))
	})
	slices.SortFunc(c.Holds, func(a, b credential.Holds) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.ErrCode, b.ErrCode), cmp.Compare(a.Reaction, b.Reaction))
	})
	return c
}

// Walk is one caller's walks through what the configuration gives, one after the other. All are
// through the same configuration, and end early when its context does: the caller has to look.
// Customers' credentials are not among what they yield, however many there are. What is yielded is
// valid until the next step.
type Walk struct {
	engine  *Engine
	catalog Catalog
	work    *throttle.Work
	now     clock.Instant
	wall    time.Time // at now

	// asked is the credentials that somebody had asked for in the last walk through all. A pointer
	// to each is all that a Walk holds, and the configuration bounds how many there are.
	asked []*entry
}

// Walk begins walks of a caller that calls Rest after the last, until ctx ends.
func (e *Engine) Walk(ctx context.Context) *Walk {
	w := &Walk{engine: e, catalog: *e.catalog.Load(), work: e.cfg.Throttle.BeginShort(ctx), now: e.clock.Now()}
	w.wall = e.clock.Wall(w.now).UTC()
	return w
}

// atOnce is the number of credentials in one step of the budget. Each takes 0.1 to 0.2 us. With one
// step for each, yielding would double the processor time of a walk.
const atOnce = 8

// step counts the credential numbered i, and reports whether to continue.
func (w *Walk) step(i int) bool { return i%atOnce != 0 || w.work.Step() }

// Rest lets others continue, for a caller that is about to wait for something, or has done.
func (w *Walk) Rest() { w.work.Rest() }

// Summaries yields how each credential is. A credential that a reload has just removed is left out.
func (w *Walk) Summaries(yield func(*credential.Summary) bool) {
	var s credential.Summary
	i := 0
	w.asked = w.asked[:0]
	for spec := range w.catalog.Specs() {
		if i++; !w.step(i) {
			return
		}
		en := w.engine.index.get(spec.Name)
		if en == nil {
			s = credential.Summary{Name: spec.Name, Kind: spec.Policy.Word, State: unasked(spec.Policy), Durable: true}
		} else {
			w.asked = append(w.asked, en)
		}
		if (en == nil || w.summarize(&s, en)) && !yield(&s) {
			return
		}
	}
}

// Asked yields the credentials of the last Summaries that have been requested. The others have no
// value, no failures and no next refresh.
func (w *Walk) Asked(yield func(*credential.Summary) bool) {
	var s credential.Summary
	for i, en := range w.asked {
		if !w.step(i) || w.summarize(&s, en) && !yield(&s) {
			return
		}
	}
}

// summarize sets s to how en is, and reports whether it is in service.
func (w *Walk) summarize(s *credential.Summary, en *entry) bool {
	at := func(i clock.Instant) time.Time { return w.wall.Add(i.Sub(w.now)) }
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.gone() != nil {
		return false
	}
	*s = credential.Summary{Name: en.name, Kind: en.policy().Word, State: en.stateLocked(w.now), Durable: !en.volatile}
	if c := en.current.Load(); c != nil {
		s.FetchedAt, s.ExpiresAt = at(c.issued), at(c.end)
	}
	if next := en.nextLocked(w.now); next != 0 {
		s.NextRefresh = at(next)
	}
	if h := en.holdLocked(w.now); h != nil {
		s.ErrCode, s.Failures = h.errcode, h.failures
	}
	return true
}

// unasked returns the state of a credential that nobody has asked for.
func unasked(p *policy.Policy) credential.State {
	if p.Pushed > 0 {
		return credential.Waiting
	}
	return credential.Idle
}

// Quotas returns the budgets of the configured accounts, and the hosts' of faulty calls, sorted by
// account and word. Those of customers are not among them.
func (e *Engine) Quotas() (all []credential.Quota) {
	w := e.Walk(e.base)
	defer w.Rest()
	for q := range w.Quotas(true) {
		all = append(all, *q)
	}
	slices.SortFunc(all, func(a, b credential.Quota) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Word, b.Word))
	})
	return all
}

// Quotas yields the same, account by account. Spent is zero unless it is counted, which is most of
// the work.
func (w *Walk) Quotas(counted bool) iter.Seq[*credential.Quota] {
	return func(yield func(*credential.Quota) bool) {
		var (
			once metBudgets
			q    credential.Quota
			key  []byte
		)
		one := func(b *quota.Budget, spec *Spec) bool {
			if !once.first(b, spec) {
				return true
			}
			q = credential.Quota{Account: payer(b, spec), Word: b.Word, Limit: b.Limit, Window: b.Window}
			if counted {
				key = b.AppendKey(key[:0], payer(b, spec))
				q.Spent = w.engine.ledger.Total(key, w.now)
			}
			return yield(&q)
		}
		i := 0
		for spec := range w.catalog.Specs() {
			if i++; !w.step(i) {
				return
			}
			p := spec.Policy
			if faults := w.engine.host(spec).Faults; faults != nil && !one(faults, spec) {
				return
			}
			for _, some := range [...][]quota.Budget{spec.budgets(), p.Forced} {
				for i := range some {
					if !one(&some[i], spec) {
						return
					}
				}
			}
		}
	}
}

// metBudgets tells which budgets have been met before in a walk through the specs of a catalog. It
// remembers those that several names of the owner it is at may share. Its zero value is ready.
type metBudgets struct {
	hosts  []string // words
	owner  string
	shared []payment // of owner
}

// payment is who pays for what.
type payment struct{ payer, word string }

// first reports whether what b counts of spec is met for the first time.
func (o *metBudgets) first(b *quota.Budget, spec *Spec) bool {
	whose := payer(b, spec)
	switch {
	case whose == spec.Name: // nobody else's
		return true
	case b.Scope == quota.PerHost:
		if slices.Contains(o.hosts, b.Word) {
			return false
		}
		o.hosts = append(o.hosts, b.Word)
		return true
	case o.owner != spec.Owner:
		o.owner, o.shared = spec.Owner, o.shared[:0]
	}
	if slices.Contains(o.shared, payment{whose, b.Word}) {
		return false
	}
	o.shared = append(o.shared, payment{whose, b.Word})
	return true
}
