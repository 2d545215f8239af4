package refresh

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/quota"
	"tokend/daemon/record"
)

// load makes an entry of everything that the store has kept and the catalog knows, and reports
// whether it came to that: ctx may end before. What cannot be read is logged and left out. While it
// goes on, entries may be made beside it; see early.
func (e *Engine) load(ctx context.Context) (whole bool) {
	began := time.Now()
	holds, errs := all(e.cfg.Store, record.Holds, record.DecodeHold)
	budgets, berrs := all(e.cfg.Store, record.Budgets, record.DecodeBudget)
	limit := began.Add(slack)
	e.turned = turnedBack(limit, holds, budgets)
	l := e.readValues(ctx, limit)
	if ctx.Err() != nil {
		return false
	}
	e.turned = e.turned || l.turned
	if e.turned {
		e.log.Warn("the wall clock stands before what was written last: every value is fetched anew")
	}
	l.decide()
	errs = slices.Concat(l.errs, errs, berrs)
	e.stray = stray{values: l.useless, budgets: e.loadBudgets(budgets)}
	for _, h := range holds {
		if e.loadHold(h) {
			e.stray.holds = append(e.stray.holds, h.Name)
		}
	}
	e.pulls.shut()
	n := e.planLoaded()
	e.foreign = append(l.foreign, e.elsewhere(holds, budgets)...)
	if e.restored {
		e.log.Info("a backup was restored: tokens that WeChat may have replaced since then are fetched again", "tokens", len(l.misleading))
	}
	err := e.forget(l.misleading)
	if err == nil && e.restored {
		err = e.forget([]record.Record{{Table: record.Keys, Key: record.Restored}})
	}
	if err != nil {
		errs = append(errs, err)
	}
	for _, err := range errs {
		e.log.Error("cannot read a record: it is left out and fetched again", "error", err)
	}
	e.loadSpent()
	close(e.loaded)
	if e.cfg.Ahead {
		e.log.Info("loaded", "credentials", n, "took", time.Since(began).Round(time.Millisecond))
	}
	return true
}

// planLoaded makes what was loaded due, and returns how many credentials that are.
func (e *Engine) planLoaded() int {
	now := e.clock.Now()
	entries := e.index.all()
	e.schedule.grow(len(entries))
	for _, en := range entries {
		en.mu.Lock()
		e.applyLocked(en, passed{}, now)
		e.sleepLoadedLocked(en, now)
		en.mu.Unlock()
	}
	e.expect(now)
	return len(entries)
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

// loadBudgets takes over what was spent, and returns the keys of what counts no more.
func (e *Engine) loadBudgets(budgets []record.Budget) (useless []string) {
	spent := make(map[string]quota.Tally, len(budgets))
	for _, b := range budgets {
		if t := e.keptTally(b); len(t.Slices) > 0 {
			spent[b.Key] = t
			continue
		}
		useless = append(useless, b.Key)
	}
	e.ledger.Restore(spent)
	return useless
}

// loadHold takes over a hold, and reports whether it is of no use.
func (e *Engine) loadHold(h record.Hold) (useless bool) {
	if outletOwner(h.Name) != "" {
		return e.loadOutlet(h)
	}
	spec, err := (*e.catalog.Load()).Lookup(h.Name)
	if err != nil || spec.Settings != h.Settings || spec.Kind.policy().perAsk {
		return true
	}
	if p := spec.Kind.policy(); p.lapses && !p.configured && e.index.get(h.Name) == nil {
		return false // read when somebody asks; see inherit
	}
	en, err := e.entry(h.Name)
	if err != nil {
		return true
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	en.resume(e.resumed(h, &spec))
	return false
}

// sleepLoadedLocked lets en, if it waits for its parent, wait on. It asks again at once if the ticket
// that it was refused with has been replaced since, and the run before ended before it could wake
// en. en.mu is held.
func (e *Engine) sleepLoadedLocked(en *entry, now clock.Instant) {
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
		e.applyLocked(en, woken{now}, now)
	}
}
