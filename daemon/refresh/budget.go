package refresh

import (
	"context"
	"slices"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/quota"
	"tokend/daemon/record"
)

// day is the window of a quota that WeChat counts by the day.
const day = quota.Day

// payer returns whose calls b counts spec's with.
func payer(b *quota.Budget, spec *Spec) string { return b.Payer(spec.Account, spec.Owner) }

// quotaNear is how many of each hundred calls that tokend allows itself in a day are near WeChat's
// quota.
const quotaNear = 90

// spentToday reports whether so many calls for spec have been made in WeChat's day that its
// quota may be spent.
func (e *Engine) spentToday(spec *Spec, now clock.Instant, wall time.Time) bool {
	midnight := now.Add(untilMidnight(wall) - day)
	for _, b := range spec.Kind.policy().budgets {
		if b.Window == day && e.ledger.Get(b.Key(payer(&b, spec))).Since(midnight)*100 >= b.Limit*quotaNear {
			return true
		}
	}
	return false
}

// usage is what a call takes out of which budgets.
type usage struct {
	budgets []quota.Budget
	forced  bool // by an operator who wants a new value
	early   bool // nobody waits for it, and what it is to replace is valid
}

// charge takes one call out of every budget, durably and together with recs, before the call
// is made, whether it will succeed or not: a crash in between costs one call of
// the budget and never one beyond it. Its error is a *guardError where there is none left. Where
// the disk refuses the call goes on, because that must not stop tokens, as long as there is
// some to spare.
func (e *Engine) charge(ctx context.Context, spec *Spec, use usage, recs ...record.Record) error {
	if len(use.budgets) == 0 && len(recs) == 0 {
		return nil
	}
	keys := make([]string, len(use.budgets))
	for i, b := range use.budgets {
		keys[i] = b.Key(payer(&b, spec))
	}
	if refusal := e.ledger.Charge(use.budgets, keys, e.clock.Now()); refusal != nil {
		return &guardError{reply: overspent(refusal), forced: use.forced}
	}
	if err := e.writeBudgets(ctx, keys, recs...); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if refusal := e.ledger.Lose(use.budgets, keys, use.early, e.clock.Now()); refusal != nil {
			return &guardError{reply: overspent(refusal), forced: use.forced, early: use.early}
		}
		e.log.Error("cannot write that a call is made: counting in memory", "name", spec.Name, "error", err)
		if len(use.budgets) > 0 {
			e.unsaved.kick()
		}
	}
	if idle := e.ledger.Sweep(e.clock.Now()); len(idle) > 0 {
		if err := e.forgetBudgets(ctx, idle); err != nil {
			e.log.Error("cannot delete budgets that are full again", "error", err)
		}
	}
	return nil
}

// writeBudgets writes what is spent under keys, as it stands when it is this call's turn to
// write, together with recs.
func (e *Engine) writeBudgets(ctx context.Context, keys []string, recs ...record.Record) error {
	names := slices.Clip(keys)
	for _, r := range recs {
		names = append(names, r.Key)
	}
	end, err := e.turns.take(ctx, names...)
	if err != nil {
		return err
	}
	defer end()
	recs = slices.Clip(recs)
	for _, key := range keys {
		if t := e.ledger.Get(key); len(t.Slices) > 0 {
			recs = append(recs, e.keepTally(key, t))
		}
	}
	if err := e.cfg.Store.Put(ctx, recs...); err != nil {
		return err
	}
	e.ledger.Counted(keys)
	return nil
}

// forgetBudgets deletes the records under keys that still count nothing.
func (e *Engine) forgetBudgets(ctx context.Context, keys []string) error {
	return e.sweepTable(ctx, record.Budgets, keys, func(key string) bool { return len(e.ledger.Get(key).Slices) == 0 })
}

// saveBudgets writes what was spent while the disk refused.
func (e *Engine) saveBudgets() error {
	for batch := range slices.Chunk(e.ledger.Uncounted(), forgetBatch) {
		if err := e.writeBudgets(context.Background(), batch); err != nil {
			return err
		}
	}
	return nil
}
