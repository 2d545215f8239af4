package refresh

import (
	"fmt"
	"slices"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/record"
)

// load makes an entry of everything that the store has kept and the catalog
// knows. It returns what could not be read.
func (e *Engine) load() []error {
	holds, errs := all(e.cfg.Store, record.Holds, record.DecodeHold)
	budgets, berrs := all(e.cfg.Store, record.Budgets, record.DecodeBudget)
	limit := time.Now().Add(slack)
	e.turned = turnedBack(limit, holds, budgets)
	l := e.readValues(limit)
	if l.turned && !e.turned {
		// Seldom enough: what was believed of the values is forgotten, and they are read again.
		e.turned, e.index = true, newIndex()
		l = e.readValues(limit)
	}
	if e.turned {
		e.log.Warn("the wall clock stands before what was written last: every value is fetched anew")
	}
	errs = slices.Concat(l.errs, errs, berrs)
	stray := append(e.loadBudgets(budgets), l.useless...)
	for _, h := range holds {
		if e.loadHold(h) {
			stray = append(stray, record.Record{Table: record.Holds, Key: h.Name})
		}
	}
	entries := e.index.all()
	e.schedule.grow(len(entries))
	for _, en := range entries {
		en.mu.Lock()
		e.wakeLoadedLocked(en, l.now)
		en.shown = en.stateLocked(l.now)
		e.planLocked(en, l.now)
		en.mu.Unlock()
	}
	e.expect(l.now)
	e.foreign = append(l.foreign, e.elsewhere(holds, budgets)...)
	if err := e.forget(stray); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// all returns the records of table, decoded, and what could not be.
func all[T any](store Store, table record.Table, decode func(record.Record) (T, error)) (ts []T, errs []error) {
	for r, err := range store.All(table) {
		var t T
		if err == nil {
			t, err = decode(r)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", table, r.Key, err))
			continue
		}
		ts = append(ts, t)
	}
	return ts, errs
}

// loadBudgets takes over what was spent, and returns the records of what counts no more.
func (e *Engine) loadBudgets(budgets []record.Budget) (useless []record.Record) {
	e.ledger.spent = make(map[string]tally, len(budgets))
	for _, b := range budgets {
		if t := e.keptTally(b); len(t.slices) > 0 {
			e.ledger.spent[b.Key] = t
			continue
		}
		useless = append(useless, record.Record{Table: record.Budgets, Key: b.Key})
	}
	return useless
}

// loadHold takes over a hold, and reports whether it is of no use.
func (e *Engine) loadHold(h record.Hold) (useless bool) {
	spec, err := (*e.catalog.Load()).Lookup(h.Name)
	if err != nil || spec.Settings != h.Settings {
		return true
	}
	if spec.Kind.policy().lapses && e.index.get(h.Name) == nil {
		return false // read when somebody asks; see inherit
	}
	en, err := e.entry(h.Name)
	if err != nil {
		return true
	}
	en.hold, en.written = e.keptHold(h), true
	en.refresh = en.hold.until
	return false
}

// wakeLoadedLocked lets en ask again if the ticket that it was refused with has been replaced
// since, and the run before ended before it could say so. Otherwise en sleeps on. en.mu is held.
func (e *Engine) wakeLoadedLocked(en *entry, now clock.Instant) {
	if !en.sleepsLocked() {
		return
	}
	spec, err := e.lookup(en.name)
	if err != nil {
		return
	}
	parent := spec.Parent
	e.sleepers.add(parent, en)
	pe := e.index.get(parent)
	if pe == nil {
		return
	}
	if c := pe.valid(now); c != nil && c.seen > en.hold.since {
		woken := *en.hold
		woken.until = now
		en.hold, en.refresh = &woken, now
	}
}

// restore gives en the value c that was kept.
func (e *Engine) restore(en *entry, c *credential, now clock.Instant) {
	en.current.Store(c)
	en.started = true
	if en.hold != nil {
		return // which says when to ask again
	}
	if p := en.policy(); p.pushed > 0 {
		// A push that was missed while tokend was down is not overdue yet.
		en.refresh = now.Add(p.quiet)
		return
	}
	// What came due while tokend was down is due now; the workers bound how many calls that makes at
	// once, and the pace how many of customers there are in a second.
	en.refresh = refreshAt(en.policy(), c, en.spread(), c.seen, c.seen > c.issued)
}
