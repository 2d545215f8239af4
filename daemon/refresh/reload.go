package refresh

import "tokend/daemon/record"

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
			e.dropLocked(en, gone(en.name))
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
	e.expect(e.clock.Now())
	if err := e.forget(stray); err != nil {
		e.log.Error("cannot delete the records of what is not configured any more", "error", err)
	}
}

// dropLocked takes en out of service; who still holds on to it is told why. en.mu is held.
func (e *Engine) dropLocked(en *entry, why *Error) {
	now := e.clock.Now()
	en.gone = why
	en.current.Store(nil)
	en.hold, en.refresh = nil, 0
	e.planLocked(en, now)
	e.index.remove(en)
	e.watchers.tell(Listing{Name: en.name, State: Expired})
}
