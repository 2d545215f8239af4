package refresh

import (
	"context"
	"slices"

	"tokend/daemon/record"
)

// amendment is a change to a grant, with all that follows from it on disk and in memory.
type amendment struct {
	// Set by who asks for it.
	grant    string
	concerns string                   // a name besides those that live by the grant, "" for none
	apply    func(*record.Grant) bool // changes the grant, or reports that nothing is to be changed
	with     []record.Record          // written with the grant; apply may set it
	then     func()                   // follows when the grant is durable, in its turn

	// frees: what lives by the grant may ask again; its holds end. ends: what lives by it is
	// gone, its values too.
	frees, ends bool

	// stubborn: in force also if the disk refuses it, until the disk takes it.
	stubborn bool

	// Set by amend and apply.
	dependants []string // the names that live by the grant
	applies    bool
	again      bool // nothing changed, but the holds end all the same
	lacking    bool // the disk lacks what is in force: it is written, changed or not
	after      record.Grant
	owed       []record.Record // what is to be written with it, but for values
	refused    error           // why the disk has not got it
}

// amend makes changes to grants: all in one write, and durable before they are visible. Nobody else
// changes the grants or what lives by them meanwhile. Nothing has changed if the disk
// refuses; but for the stubborn ones.
func (e *Engine) amend(ctx context.Context, all ...*amendment) error {
	var names []string
	for _, a := range all {
		a.dependants = (*e.catalog.Load()).Dependants(a.grant)
		names = append(append(names, a.grant), a.dependants...)
		if a.concerns != "" {
			names = append(names, a.concerns)
		}
	}
	end, err := e.turns.take(ctx, names...)
	if err != nil {
		return err
	}
	defer end()
	var recs []record.Record
	for _, a := range all {
		rs, err := e.prepare(a)
		if err != nil {
			return err
		}
		recs = append(recs, rs...)
	}
	if len(recs) > 0 {
		err = e.cfg.Store.Put(ctx, recs...)
	}
	for _, a := range all {
		a.refused = err
		switch {
		case err == nil && (a.applies || a.lacking):
			e.grants.taken(a.grant)
		case err != nil && a.applies && a.stubborn:
			e.grants.hold(a.after, a.owed...)
			e.unsaved.kick()
		case err != nil:
			continue
		}
		if a.frees && (a.applies || a.again) {
			e.release(a.dependants)
		}
		if a.applies {
			a.then()
		}
	}
	return err
}

// prepare applies a to its grant and returns what is to be written then.
func (e *Engine) prepare(a *amendment) (recs []record.Record, err error) {
	a.after, err = e.grants.get(a.grant)
	switch {
	case err != nil && a.stubborn:
		// What is there cannot be read; what has come must not be lost over it.
		e.log.Error("cannot read a grant: another is put in its place", "name", a.grant, "error", err)
		a.after = record.Grant{Name: a.grant}
	case err != nil:
		return nil, err
	}
	a.applies = a.apply(&a.after)
	a.lacking = e.grants.lacks(a.grant)
	if !a.applies && !a.again && !a.lacking {
		return nil, nil
	}
	recs = slices.Clone(a.with)
	for _, name := range a.dependants {
		if !a.ends && !a.frees || !a.applies && !a.again {
			break
		}
		// Most have none: a customer's first grant comes before its first token.
		if r, err := e.cfg.Store.Get(record.Holds, name); err != nil || r.Value != nil {
			recs = append(recs, record.Record{Table: record.Holds, Key: name})
		}
		if a.ends {
			recs = append(recs, record.Record{Table: record.Credentials, Key: name})
		}
	}
	a.owed = slices.DeleteFunc(slices.Clone(recs), func(r record.Record) bool { return r.Table == record.Credentials })
	if a.applies || a.lacking {
		recs = slices.Concat(e.grants.owed(a.grant), recs, []record.Record{a.after.Encode()})
	}
	return recs, nil
}

// release ends the holds of what lives by a grant that has just been given. Their records are
// gone already.
func (e *Engine) release(dependants []string) {
	now := e.clock.Now()
	for _, name := range dependants {
		en := e.index.get(name)
		if en == nil {
			continue
		}
		en.mu.Lock()
		if en.flight == nil {
			en.written = false // a flight may write another this moment, and deletes it as it lands
		}
		if en.hold != nil && en.gone() == nil {
			en.hold, en.refresh = nil, now
			e.tellLocked(en, now, false)
			e.planLocked(en, now)
		}
		en.mu.Unlock()
	}
}
