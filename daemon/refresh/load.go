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
		en, err := e.entry(c.Name)
		if err != nil {
			stray = append(stray, record.Record{Table: r.Table, Key: r.Key})
			continue
		}
		e.restore(en, e.kept(c))
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
	if err := e.forget(stray); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// restore gives en the value c that was kept.
func (e *Engine) restore(en *entry, c *credential) {
	en.current.Store(c)
	en.started = true
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

// SetCatalog puts another configuration in force. Credentials that it does not
// touch are neither fetched nor interrupted; those of accounts that are gone are forgotten; the
// hold of a changed account ends.
func (e *Engine) SetCatalog(c Catalog) {
	e.catalog.Store(&c)
	var stray []record.Record
	for _, en := range e.index.all() {
		spec, err := c.Lookup(en.name)
		en.mu.Lock()
		if err != nil {
			stray = append(stray,
				record.Record{Table: record.Credentials, Key: en.name},
				record.Record{Table: record.Holds, Key: en.name})
			e.dropLocked(en)
			en.mu.Unlock()
			continue
		}
		before := en.spec.Swap(&spec)
		if before.Settings != spec.Settings && en.hold != nil {
			stray = append(stray, record.Record{Table: record.Holds, Key: en.name})
			now := e.clock.Now()
			en.hold, en.refresh = nil, now
			e.tellLocked(en, now, false)
			e.planLocked(en, now)
		}
		en.mu.Unlock()
	}
	if err := e.forget(stray); err != nil {
		e.log.Error("cannot delete the records of what is not configured any more", "error", err)
	}
}

// dropLocked takes en out of service. en.mu is held.
func (e *Engine) dropLocked(en *entry) {
	now := e.clock.Now()
	en.gone = true
	en.current.Store(nil)
	en.hold, en.refresh = nil, 0
	e.planLocked(en, now)
	e.index.remove(en)
	e.watchers.tell(Listing{Name: en.name, State: Expired})
}
