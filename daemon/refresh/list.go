package refresh

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"sync/atomic"
)

// List returns how many credentials there are under prefix, of those that may be shown by may (nil:
// all), and yields them sorted by name: what has been asked for, and what the catalog knows
// besides. Which they are is settled when it returns; how each of them is, when it is yielded. It
// is for one walk, in which the caller may take its time: a million entries and as many grants take
// 32 MB meanwhile.
func (e *Engine) List(prefix string, may func(name string) bool) (n int, all iter.Seq[Listing]) {
	e.awaitLoaded()
	r := e.roll(prefix, may)
	return r.len(), r.all
}

// Watch returns what there is under prefix, as List does, and a subscription to every change after
// it. A change that happens before a credential is yielded may be in both.
func (e *Engine) Watch(prefix string, may func(name string) bool) (n int, all iter.Seq[Listing], w *Watch) {
	e.awaitLoaded()
	w = e.watchers.add(prefix, e.index.len())
	n, all = e.List(prefix, may)
	return n, all, w
}

// Status returns all there is to say of name. Its error is an *Error.
func (e *Engine) Status(name string) (Status, error) {
	if err := e.ready(context.Background()); err != nil {
		return Status{}, err
	}
	en := e.index.get(name)
	if en == nil {
		// Asking how a credential is does not count as asking for it.
		spec, err := (*e.catalog.Load()).Lookup(name)
		if err != nil {
			return Status{}, err
		}
		if spec.Kind.policy().grant {
			return e.grants.status(spec, e.mark)
		}
		en = e.newEntry(&spec)
		if err := e.inherit(en, &spec); err != nil {
			return Status{}, err
		}
		e.unhooked.hook(en)
	}
	spec, err := e.lookup(name)
	if err != nil {
		return Status{}, err
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	return e.statusLocked(en, &spec), nil
}

// statusLocked returns all there is to say of en, which is spec's. en.mu is held.
func (e *Engine) statusLocked(en *entry, spec *Spec) Status {
	now := e.clock.Now()
	s := Status{Listing: en.listingLocked(now), Kind: spec.Kind.String(), Pushed: spec.Kind.policy().pushed > 0, Parent: spec.Parent, Durable: !en.volatile, Peg: &en.peg}
	if c := en.current.Load(); c != nil {
		s.FetchedAt = e.clock.Wall(c.issued).UTC()
		s.ExpiresAt = e.clock.Wall(c.end).UTC()
		s.Fingerprint = e.mark.of(c.text)
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

// History returns the last refreshes of name, newest first. Its error is an *Error.
func (e *Engine) History(name string) ([]Attempt, error) {
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
	return en.past.history(), nil
}

// counts is what the engine has done since it was made.
type counts struct {
	fetches, rejects, renewed, repeated, failed atomic.Int64
}

// refreshed counts a refresh by its outcome.
func (c *counts) refreshed(outcome string) {
	switch outcome {
	case "ok":
		c.renewed.Add(1)
	case "same":
		c.repeated.Add(1)
	default:
		c.failed.Add(1)
	}
}

// Refreshes returns how many refreshes there were since the engine was made.
func (e *Engine) Refreshes() Refreshes {
	return Refreshes{OK: e.counts.renewed.Load(), Same: e.counts.repeated.Load(), Failed: e.counts.failed.Load()}
}

// Stats returns the engine's counters and how many credentials stand where.
func (e *Engine) Stats() []Stat {
	e.awaitLoaded()
	stats := []Stat{
		{Key: "calls", Value: e.counts.fetches.Load()},
		{Key: "refreshes:ok", Value: e.counts.renewed.Load()},
		{Key: "refreshes:same", Value: e.counts.repeated.Load()},
		{Key: "refreshes:failed", Value: e.counts.failed.Load()},
	}
	var states [StateCount]int64
	now, undurable := e.clock.Now(), len(e.grants.refused())
	for en := range e.index.each {
		en.mu.Lock()
		states[en.stateLocked(now)]++
		if en.volatile {
			undurable++
		}
		en.mu.Unlock()
	}
	if undurable > 0 {
		stats = append(stats, Stat{Key: "undurable", Value: int64(undurable)})
	}
	for s, n := range states {
		if State(s) != Idle {
			stats = append(stats, Stat{Key: "credentials:" + State(s).String(), Value: n})
		}
	}
	slices.SortFunc(stats, func(a, b Stat) int { return cmp.Compare(a.Key, b.Key) })
	return stats
}
