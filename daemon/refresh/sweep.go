package refresh

import (
	"context"
	"errors"
	"slices"

	"tokend/daemon/record"
)

// stray is what the loading has found to be of no use any more, and what the next start would find
// to be of no use just as well. After a night without tokend that may be a record of every
// customer.
type stray struct {
	values, holds, budgets []string // keys; the values have ended
}

// sweep deletes what the loading has found to be of no use and what still is. It goes on beside
// everything else, since nobody has to wait for it; what a stop leaves, the next start finds again.
func (e *Engine) sweep(ctx context.Context) {
	s := e.stray
	e.stray = stray{}
	err := errors.Join(
		e.sweepTable(ctx, record.Credentials, s.values, e.valueless),
		e.sweepTable(ctx, record.Holds, s.holds, e.holdMoot),
		e.forgetBudgets(ctx, s.budgets))
	if err != nil && ctx.Err() == nil {
		e.log.Error("cannot delete what is of no use any more: the next start does", "error", err)
	}
}

// sweepTable deletes the records under keys of which useless, called in the turn of each, reports
// that they are.
func (e *Engine) sweepTable(ctx context.Context, table record.Table, keys []string, useless func(key string) bool) error {
	for batch := range slices.Chunk(keys, forgetBatch) {
		end, err := e.turns.take(ctx, batch...)
		if err != nil {
			return err
		}
		var recs []record.Record
		for _, key := range batch {
			if useless(key) {
				recs = append(recs, record.Record{Table: table, Key: key})
			}
		}
		if len(recs) > 0 {
			err = e.cfg.Store.Put(ctx, recs...)
		}
		end()
		if err != nil {
			return err
		}
	}
	return nil
}

// valueless reports whether what is kept under name is still what the loading has found: whatever
// has been fetched since is in the entry too.
func (e *Engine) valueless(name string) bool {
	en := e.index.get(name)
	return en == nil || en.current.Load() == nil
}

// holdMoot reports whether the hold that is kept under name is of another configuration than the
// one in force, or of a kind that keeps none.
func (e *Engine) holdMoot(name string) bool {
	r, err := e.cfg.Store.Get(record.Holds, name)
	if err != nil || r.Value == nil {
		return false
	}
	h, err := record.DecodeHold(r)
	if err != nil {
		return false
	}
	if outletOwner(name) != "" {
		return !e.outlets.holds(name)
	}
	spec, err := e.lookup(name)
	return err != nil || spec.Settings != h.Settings || spec.Kind.policy().perAsk
}
