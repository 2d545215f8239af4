package refresh

import (
	"cmp"
	"context"
	"slices"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
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
			return e.grants.status(spec, e.fingerprints)
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
	en.mu.Lock()
	defer en.mu.Unlock()
	return e.statusLocked(en, &spec), nil
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

// History returns the last refreshes of name, newest first. Its error is a *credential.Error.
func (e *Engine) History(name string) ([]credential.Attempt, error) {
	if err := e.ready(context.Background()); err != nil {
		return nil, err
	}
	en := e.index.get(name)
	if en == nil {
		_, err := (*e.catalog.Load()).Lookup(name)
		return nil, err
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	return en.history.newestFirst(), nil
}

// Refreshes returns how many refreshes there were since the engine was made.
func (e *Engine) Refreshes() credential.Refreshes {
	return credential.Refreshes{OK: e.counts.renewed.Load(), Same: e.counts.repeated.Load(), Failed: e.counts.failed.Load()}
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
	if undurable > 0 {
		stats = append(stats, credential.Stat{Key: "undurable", Value: int64(undurable)})
	}
	for s, n := range states {
		if credential.State(s) != credential.Idle {
			stats = append(stats, credential.Stat{Key: "credentials:" + credential.State(s).String(), Value: n})
		}
	}
	slices.SortFunc(stats, func(a, b credential.Stat) int { return cmp.Compare(a.Key, b.Key) })
	return stats
}

// Overview returns all there is to say of what the configuration gives, sorted by name; that of
// customers is not among it, however many there are: see [Engine.Census]. Nothing is made by it,
// and Readers are nil. It takes some microseconds for each credential.
func (e *Engine) Overview() []credential.Status {
	catalog := *e.catalog.Load()
	names := slices.Sorted(catalog.Names()) // and not what is made of them, which is twenty times as large
	all := make([]credential.Status, 0, len(names))
	work := e.cfg.Throttle.Begin(e.base)
	defer work.End()
	for _, name := range names {
		work.Pause()
		spec, err := catalog.Lookup(name)
		if err != nil {
			continue // of no catalog's
		}
		en := e.index.get(name)
		if en == nil {
			en = e.newEntry(&spec) // which nobody has asked for, and nobody will find
		}
		en.mu.Lock()
		gone := en.gone() != nil
		s := e.statusLocked(en, &spec)
		en.mu.Unlock()
		if !gone { // by a reload, this moment
			s.Readers = nil
			all = append(all, s)
		}
	}
	return all
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
