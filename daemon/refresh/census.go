package refresh

import (
	"cmp"
	"slices"

	"tokend/fetchers"
)

// Overview returns all there is to say of what the configuration gives, sorted by name; that of
// customers is not among it, however many there are: see [Engine.Census]. Nothing is made by it,
// and the pegs are nil. It takes some microseconds for each credential.
func (e *Engine) Overview() []Status {
	catalog := *e.catalog.Load()
	names := slices.Sorted(catalog.Names()) // and not what is made of them, which is twenty times as large
	all := make([]Status, 0, len(names))
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
			s.Peg = nil
			all = append(all, s)
		}
	}
	return all
}

// Census walks through all there is in memory and counts it. It takes some tenths of a microsecond
// for each credential, and holds up no reader.
func (e *Engine) Census() Census {
	type flock struct {
		kind     Kind
		platform string
	}
	type cause struct {
		kind    Kind
		reason  Reason
		errcode int
		class   fetchers.Reaction
	}
	crowds := map[flock]*[StateCount]int{}
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
		state, h, kind := en.stateLocked(now), en.hold, en.class.Load().kind
		en.mu.Unlock()
		if p := kind.policy(); p.lapses && !p.configured {
			f := flock{kind, ownerOf(en.name)}
			states := crowds[f]
			if states == nil {
				states = new([StateCount]int)
				crowds[f] = states
			}
			states[state]++
		}
		if h != nil && now < h.until {
			holds[cause{kind, h.reason, h.errcode, h.class}]++
		}
	}
	var c Census
	for f, states := range crowds {
		c.Customers = append(c.Customers, Crowd{Platform: f.platform, Kind: f.kind.String(), States: *states})
	}
	for h, n := range holds {
		c.Holds = append(c.Holds, Holds{Kind: h.kind.String(), Reason: h.reason, ErrCode: h.errcode, Reaction: h.class, N: n})
	}
	slices.SortFunc(c.Customers, func(a, b Crowd) int {
		return cmp.Or(cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.Kind, b.Kind))
	})
	slices.SortFunc(c.Holds, func(a, b Holds) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.ErrCode, b.ErrCode), cmp.Compare(a.Reaction, b.Reaction))
	})
	return c
}
