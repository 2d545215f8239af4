package refresh

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/record"
)

// This file is about what only the wall clock dates: records of another boot. They are rewritten by
// the clock of this one, and corrected if the wall clock is.

// turnedBack reports whether a hold or a budget was written later than limit, which is about now:
// the wall clock has been set back, by how much nobody knows. For values see loading.
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

// ofOtherBoot returns the holds and budgets that were written in another boot. For values see
// loading.
func (e *Engine) ofOtherBoot(holds []record.Hold, budgets []record.Budget) (all []dated) {
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

// redate rewrites records of another boot by the clock of this one. A restart then does not take
// their times from a wall clock that may have been set. It runs beside everything else, since a
// start does not wait for it.
func (e *Engine) redate(ctx context.Context) {
	defer func() { e.otherBoot = nil }()
	for batch := range slices.Chunk(e.otherBoot, forgetBatch) {
		names := make([]string, len(batch))
		for i, d := range batch {
			names[i] = d.key
		}
		end, err := e.locks.lock(ctx, names...)
		if err != nil {
			return
		}
		var recs []record.Record
		for _, d := range batch {
			if r, err := e.cfg.Store.Get(d.table, d.key); err == nil && r.Value != nil {
				recs = append(recs, e.redated(r)...)
			}
		}
		if len(recs) > 0 {
			err = e.cfg.Store.Put(ctx, recs...)
		}
		end()
		if err != nil {
			e.log.Warn("cannot date records by this boot's clock: a restart uses the wall clock", "error", err)
			return
		}
	}
}

// redated returns r as it would be written now, nothing where it was written in this boot.
func (e *Engine) redated(r record.Record) []record.Record {
	now, err := e.rebooted(r)
	if err != nil || string(now.Value) == string(r.Value) {
		return nil
	}
	return []record.Record{now}
}

// rebooted returns r, a record with moments, by the clock of this boot.
func (e *Engine) rebooted(r record.Record) (record.Record, error) {
	now := r
	switch r.Table {
	case record.Credentials:
		c, err := record.DecodeCredential(r)
		if err != nil || c.Boot == e.cfg.Boot {
			return r, err
		}
		k := e.form(c.Name, c.Target, e.kept(c))
		k.By, k.Call = c.By, c.Call
		now = k.Encode()
	case record.Holds:
		h, err := record.DecodeHold(r)
		if err != nil || h.Boot == e.cfg.Boot {
			return r, err
		}
		now = e.keepHold(h.Name, e.keptHold(h))
	case record.Budgets:
		b, err := record.DecodeBudget(r)
		if err != nil || b.Boot == e.cfg.Boot {
			return r, err
		}
		now = e.keepTally(b.Key, e.keptTally(b))
	case record.Codes:
		c, err := record.DecodeCode(r)
		if err != nil || c.Boot == e.cfg.Boot {
			return r, err
		}
		c.Until, c.Next = e.moment(e.instant(c.Until, c.Boot, earliest)), e.moment(e.instant(c.Next, c.Boot, latest))
		c.Boot = e.cfg.Boot
		now = c.Encode(r.Key)
	case record.Exchanged:
		s, err := record.DecodeSpent(r)
		if err != nil || s.Boot == e.cfg.Boot {
			return r, err
		}
		s.Until, s.Boot = e.moment(e.instant(s.Until, s.Boot, latest)), e.cfg.Boot
		now = s.Encode(r.Key)
	}
	now.Revision = r.Revision
	return now, nil
}

// dating is how the values of another boot were dated: by the wall clock. A host without a
// battery-backed clock begins with a wall clock that is hours behind, and sets it when it has
// reached a time server.
type dating struct {
	some atomic.Bool  // there are or were such values
	lead atomic.Int64 // of the wall clock over the time since boot, by which they are dated now
	mu   sync.Mutex   // held while they are dated again
}

// setForward is by how much the wall clock must have been set forward for values to be dated again.
const setForward = time.Second

// late returns by how much the wall clock has been set forward since the values were dated; zero if
// not at all, or by too little.
func (e *Engine) late() time.Duration {
	by := e.clock.Lead() - time.Duration(e.dating.lead.Load())
	if by < setForward {
		return 0 // nothing lives longer because the clock was set back
	}
	return by
}

// dateAgain dates the values of another boot again if the wall clock has been set forward since:
// they are older by as much, and may be dead. It returns when that is done, by this or another
// call. No entry's mu may be held.
func (e *Engine) dateAgain() {
	if !e.dating.some.Load() || e.late() == 0 || !e.isLoaded() {
		return
	}
	e.dating.mu.Lock()
	defer e.dating.mu.Unlock()
	by := e.late()
	if by == 0 {
		return
	}
	n := 0
	for en := range e.index.each {
		if e.age(en, by) {
			n++
		}
	}
	e.dating.lead.Add(int64(by))
	e.log.Warn("the wall clock was set forward: the ages of values from before the reboot were corrected", "by", by.Round(time.Second), "values", n)
}

// age makes the value of en older by by if it was dated by the wall clock, and reports whether it
// was.
func (e *Engine) age(en *entry, by time.Duration) bool {
	en.mu.Lock()
	defer en.mu.Unlock()
	c := en.current.Load()
	if c == nil || !c.byWallClock {
		return false
	}
	e.applyLocked(en, valueRedated{c.older(by), e.shift(en.name, atMostQuarter(en.policy().Lead, c.life))}, e.clock.Now())
	return true
}

// older returns c as older by by.
func (c *cached) older(by time.Duration) *cached {
	older := *c
	for _, i := range []*clock.Instant{&older.issued, &older.seen, &older.end} {
		*i = i.Add(-by)
	}
	if c.overdue != 0 {
		older.overdue = nonzero(c.overdue.Add(-by))
	}
	return &older
}

// alike returns c, which has just been read, dated by the wall clock as all other values are: it
// may have been set since then. What sets them right sets c right, too.
func (e *Engine) alike(c *cached) *cached {
	by := time.Duration(e.dating.lead.Load()) - e.clock.Lead()
	if !c.byWallClock || by.Abs() < setForward {
		return c
	}
	return c.older(by)
}

// Now returns the present instant. It never allocates, and blocks only when the wall clock has been
// set forward since the start, while the values that were dated by it are dated again.
func (e *Engine) Now() Instant {
	now := e.clock.Now()
	e.dateAgain()
	return now
}
