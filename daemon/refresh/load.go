package refresh

import (
	"context"
	"errors"
	"fmt"

	"tokend/daemon/record"
	"tokend/fetchers"
)

// load makes an entry of everything that the store has kept and the catalog
// knows. It returns what could not be read.
func (e *Engine) load() []error {
	var errs []error
	var stray []record.Record
	now := e.clock.Now()
	for r, err := range e.cfg.Store.All(record.Credentials) {
		var c record.Credential
		if err == nil {
			c, err = record.DecodeCredential(r)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("credential %s: %w", r.Key, err))
			continue
		}
		kept := e.kept(c)
		en, err := e.entry(c.Name)
		if err != nil {
			if of, ok := errors.AsType[*Error](err); !ok {
				errs = append(errs, err)
				continue
			} else if of.Reason != NotFound && of.Reason != Reauth {
				continue
			}
			stray = append(stray, record.Record{Table: r.Table, Key: r.Key})
			continue
		}
		if en.spec.Load().Kind.policy().lapses && kept.end <= now {
			// Nobody has asked while it lived, or tokend was down: fetched when
			// somebody asks.
			stray = append(stray, record.Record{Table: r.Table, Key: r.Key})
			e.index.remove(en)
			continue
		}
		e.restore(en, kept)
	}
	for r, err := range e.cfg.Store.All(record.Holds) {
		var h record.Hold
		if err == nil {
			h, err = record.DecodeHold(r)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("hold %s: %w", r.Key, err))
			continue
		}
		spec, err := (*e.catalog.Load()).Lookup(h.Name)
		if err == nil && spec.Kind.policy().lapses && spec.Settings == h.Settings {
			continue // read when somebody asks; see inherit
		}
		en, err := e.entry(h.Name)
		if err != nil || en.spec.Load().Settings != h.Settings {
			stray = append(stray, record.Record{Table: r.Table, Key: r.Key})
			continue
		}
		en.hold = e.keptHold(h)
		en.refresh = en.hold.until
	}
	for _, en := range e.index.all() {
		en.mu.Lock()
		en.shown = en.stateLocked(now)
		e.planLocked(en, now)
		en.mu.Unlock()
	}
	e.expect(now)
	if err := e.forget(stray); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// restore gives en the value c that was kept.
func (e *Engine) restore(en *entry, c *credential) {
	en.current.Store(c)
	en.started = true
	en.touch(e.clock.Now())
	if p := en.spec.Load().Kind.policy(); p.pushed > 0 {
		// A push that was missed while tokend was down is not overdue yet.
		en.refresh = e.clock.Now().Add(p.quiet)
		return
	}
	// What came due while tokend was down is due now; the workers bound how many
	// calls that makes at once.
	en.refresh = refreshAt(en.spec.Load().Kind.policy(), c, en.spread, c.seen, false)
}

// keptHold is the reverse of keepHold.
func (e *Engine) keptHold(r record.Hold) *hold {
	return &hold{
		reason:   Reason(r.Reason),
		class:    fetchers.Reaction(r.Cause),
		errcode:  r.ErrCode,
		message:  r.Message,
		rid:      r.RID,
		address:  r.Address,
		failures: r.Failures,
		settings: r.Settings,
		since:    e.instant(r.Since, r.Boot),
		until:    e.instant(r.Until, r.Boot),
	}
}

// forget deletes the records of accounts that are not configured any more: no
// secret is kept without a use.
func (e *Engine) forget(stray []record.Record) error {
	const batch = 256
	var errs []error
	for len(stray) > 0 {
		n := min(batch, len(stray))
		if err := e.cfg.Store.Put(context.Background(), stray[:n]...); err != nil {
			errs = append(errs, fmt.Errorf("forget what is not configured: %w", err))
		}
		stray = stray[n:]
	}
	return errors.Join(errs...)
}
