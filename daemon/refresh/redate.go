package refresh

import (
	"context"
	"slices"
	"time"

	"tokend/daemon/record"
)

// turnedBack reports whether a hold or a budget was written later than limit, which is about now: the wall
// clock has been set back, by how much nobody knows. For values see loading.
func turnedBack(limit time.Time, holds []record.Hold, budgets []record.Budget) bool {
	late := func(m record.Moment) bool { return m.Wall.After(limit) }
	return slices.ContainsFunc(holds, func(h record.Hold) bool { return late(h.Since) }) ||
		slices.ContainsFunc(budgets, func(b record.Budget) bool {
			return slices.ContainsFunc(b.Slices, func(s record.Slice) bool { return late(s.First) || late(s.Last) })
		})
}

// dated is a record that tells when.
type dated struct {
	table record.Table
	key   string
}

// elsewhere returns the holds and budgets that were written in another boot. For values see loading.
func (e *Engine) elsewhere(holds []record.Hold, budgets []record.Budget) (all []dated) {
	if e.cfg.Boot == "" {
		return nil // nothing will tell this run's records from them
	}
	for _, h := range holds {
		if h.Boot != e.cfg.Boot {
			all = append(all, dated{record.Holds, h.Name})
		}
	}
	for _, b := range budgets {
		if b.Boot != e.cfg.Boot {
			all = append(all, dated{record.Budgets, b.Key})
		}
	}
	return all
}

// redate writes what was written in another boot anew, by the clock of this one: a restart then does
// not take its times from a wall clock that may be set meanwhile. It goes on beside everything
// else, since a start does not wait for it.
func (e *Engine) redate(ctx context.Context) {
	defer func() { e.foreign = nil }()
	for batch := range slices.Chunk(e.foreign, forgetBatch) {
		names := make([]string, len(batch))
		for i, d := range batch {
			names[i] = d.key
		}
		end, err := e.turns.take(ctx, names...)
		if err != nil {
			return
		}
		var recs []record.Record
		for _, d := range batch {
			if r, err := e.cfg.Store.Get(d.table, d.key); err == nil && r.Value != nil {
				recs = append(recs, e.here(r)...)
			}
		}
		if len(recs) > 0 {
			err = e.cfg.Store.Put(ctx, recs...)
		}
		end()
		if err != nil {
			e.log.Warn("cannot date records by this boot's clock: a restart goes by the wall clock", "error", err)
			return
		}
	}
}

// here returns r as it would be written now, nothing where it was written in this boot.
func (e *Engine) here(r record.Record) []record.Record {
	switch r.Table {
	case record.Credentials:
		if c, err := record.DecodeCredential(r); err == nil && c.Boot != e.cfg.Boot {
			return []record.Record{e.keep(c.Name, e.kept(c))}
		}
	case record.Holds:
		if h, err := record.DecodeHold(r); err == nil && h.Boot != e.cfg.Boot {
			return []record.Record{e.keepHold(h.Name, e.keptHold(h))}
		}
	case record.Budgets:
		if b, err := record.DecodeBudget(r); err == nil && b.Boot != e.cfg.Boot {
			return []record.Record{e.keepTally(b.Key, e.keptTally(b))}
		}
	}
	return nil
}
