package refresh

import (
	"slices"

	"tokend/daemon/credential"
	"tokend/daemon/record"
)

// grant puts the stored grant r in force, which was before until now. If before could not be read,
// anything may have changed.
func (f *followed) grant(r record.Record, before *storedGrant) error {
	e, name := f.e, r.Key
	if r.Value == nil {
		return nil // no host deletes one
	}
	after, err := record.DecodeGrant(r)
	if err != nil {
		return err
	}
	after = e.grants.follow(after)
	if before.err == nil && string(before.Encode().Value) == string(r.Value) {
		return nil
	}
	if _, err := e.lookup(name); err != nil {
		return nil
	}
	dependants := (*e.catalog.Load()).Dependants(name)
	switch {
	case !after.Revoked.IsZero() && !after.Revoked.Equal(before.Revoked):
		e.endDependants(name, dependants)
		var gone []record.Record
		for _, d := range dependants {
			gone = append(gone, withoutValue(d)...)
		}
		return e.deleteRecords(gone)
	case after.Live() && (!before.Live() || after.Value != before.Value && authorizedSince(&before.Grant, &after)):
		e.release(dependants)
		if err := e.followAuthorization(r, dependants); err != nil {
			return err
		}
		e.log.Info("grant stored", "name", name, "source", after.Source)
		e.watchers.tell(credential.Listing{Name: name, State: credential.Fresh})
	case after.Live():
		e.retry(dependants)
	}
	return nil
}

// authorizedSince reports whether the value of after, or one before it, is of an authorization that
// before lacks. WeChat may have replaced that value since.
func authorizedSince(before, after *record.Grant) bool {
	return after.Authorized() || slices.ContainsFunc(after.Earlier, func(x record.Generation) bool {
		return x.Authorized() && !before.Knows(x.Value)
	})
}

// retry ends the holds of dependants that are because of their grant, which has changed: the grant
// of a late answer may be behind it now.
func (e *Engine) retry(dependants []string) {
	now := e.clock.Now()
	e.eachEntry(dependants, func(en *entry) {
		if en.hold != nil && en.hold.reason == credential.Reauth && !en.hold.derived {
			e.applyLocked(en, holdDropped{}, now)
		}
	})
}

// followAuthorization makes due what was fetched before the grant r of a new authorization was
// stored. The customer may have withdrawn the one before, which this host need not have seen: then
// what it brought is dead, whether it is stored or not. The names of dependants are locked.
func (e *Engine) followAuthorization(r record.Record, dependants []string) error {
	var before []string
	var old []record.Record
	for _, name := range dependants {
		c, err := e.cfg.Store.Get(record.Credentials, name)
		if err == nil && c.Revision >= r.Revision {
			continue // it came with the grant, or by it
		}
		before = append(before, name)
		if err == nil && c.Value != nil {
			old = append(old, withoutValue(name)...) // of this host's store alone
		}
	}
	err := e.deleteRecords(old) // first: entries that are made from here on inherit nothing
	for _, name := range before {
		if en := e.index.get(name); en != nil {
			e.outdateEntry(en)
		}
	}
	return err
}

// outdateEntry makes the value of en due, and ends the flight that would bring another like it.
func (e *Engine) outdateEntry(en *entry) {
	en.mu.Lock()
	defer en.mu.Unlock()
	switch {
	case en.flight != nil:
		e.dropLocked(en, errChanged)
	case en.current.Load() != nil:
		en.noteSaved()
		e.applyLocked(en, grantReplaced{}, e.clock.Now())
	}
}

// follow notes that grant is stored, and returns what is in force. A grant that the store has
// refused is not lost: see [record.Grant.Merge]. The peers keep a grant that they are about to
// store.
func (g *grantStore) follow(grant record.Grant) (inForce record.Grant) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if lacking, ok := g.unsaved[grant.Name]; ok {
		delete(g.unsaved, grant.Name)
		if !lacking.pending && (grant.Merge(&lacking.Grant) || len(lacking.with) > 0) {
			g.unsaved[grant.Name] = unsavedGrant{Grant: grant, with: lacking.with}
		}
	}
	g.noteLocked(grant.Name)
	return grant
}
