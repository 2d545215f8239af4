package refresh

import (
	"context"
	"slices"

	"tokend/daemon/record"
)

// SetCatalog puts another configuration in force. Credentials that it does not
// touch are neither fetched nor interrupted; those of accounts that are gone are forgotten; the
// hold of a changed account ends.
func (e *Engine) SetCatalog(c Catalog) {
	e.catalog.Store(&c)
	var touched []*entry
	for _, en := range e.index.all() {
		spec, err := c.Lookup(en.name)
		en.mu.Lock()
		switch before := en.spec.Load(); {
		case err != nil:
			// At once, whatever the disk is at: nothing of an account that is gone is served.
			e.dropLocked(en, gone(en.name))
			touched = append(touched, en)
		case before.Settings != spec.Settings && en.hold != nil:
			touched = append(touched, en)
		default:
			en.spec.Store(&spec)
		}
		en.mu.Unlock()
	}
	for batch := range slices.Chunk(touched, forgetBatch/2) {
		e.follow(batch)
	}
	e.expect(e.clock.Now())
}

// follow makes what is on disk follow the configuration, and with it the entries that
// have changed and stay.
func (e *Engine) follow(batch []*entry) {
	names := make([]string, len(batch))
	for i, en := range batch {
		names[i] = en.name
	}
	end, _ := e.turns.take(context.Background(), names...)
	defer end()
	var stray []record.Record
	for _, en := range batch {
		en.mu.Lock()
		if en.gone == nil {
			e.followLocked(en)
		} else {
			stray = append(stray, record.Record{Table: record.Credentials, Key: en.name})
		}
		stray = append(stray, record.Record{Table: record.Holds, Key: en.name})
		en.mu.Unlock()
	}
	if err := e.forget(stray); err != nil {
		e.log.Error("cannot delete the records of what is not configured any more", "error", err)
	}
}

// followLocked makes en follow the configuration in force. en.mu is held.
func (e *Engine) followLocked(en *entry) {
	spec, err := (*e.catalog.Load()).Lookup(en.name)
	if err != nil {
		e.dropLocked(en, gone(en.name))
		return
	}
	before := en.spec.Swap(&spec)
	if before.Settings == spec.Settings || en.hold == nil {
		return
	}
	now := e.clock.Now()
	en.hold, en.refresh = nil, now
	if en.flight == nil {
		en.written = false // a flight may write another this moment, and deletes it as it lands
	}
	e.tellLocked(en, now, false)
	e.planLocked(en, now)
}

// dropLocked takes en out of service; who still holds on to it is told why. en.mu is held.
func (e *Engine) dropLocked(en *entry, why *Error) {
	now := e.clock.Now()
	en.gone = why
	en.current.Store(nil)
	en.hold, en.refresh = nil, 0
	e.planLocked(en, now)
	e.sleepers.drop(en.spec.Load().Parent, en)
	e.index.remove(en)
	e.watchers.tell(Listing{Name: en.name, State: Expired})
}
