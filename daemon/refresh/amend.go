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
	engine     *Engine
	err        error // how it has ended
}

// amend makes changes to grants: all in one write, and durable before they are visible. Nobody else
// changes the grants or what lives by them meanwhile. Where the disk refuses one, nothing has
// changed about it, unless it is stubborn. It returns the first error, if there is one; each
// amendment has its own.
func (e *Engine) amend(ctx context.Context, all ...*amendment) error {
	changes := make([]change, len(all))
	for i, a := range all {
		a.engine = e
		changes[i] = a
	}
	for i, err := range e.carryOut(ctx, changes...) {
		all[i].err = err
	}
	for _, a := range all {
		if a.err != nil {
			return a.err
		}
	}
	return nil
}

func (a *amendment) names(to []string) []string {
	a.dependants = (*a.engine.catalog.Load()).Dependants(a.grant)
	to = append(to, a.dependants...)
	if a.concerns != "" {
		to = append(to, a.concerns)
	}
	return append(to, a.grant)
}

func (a *amendment) needs() string { return a.grant }

func (a *amendment) prepare(s standing) (recs []record.Record, err error) {
	return a.engine.prepare(a, s)
}

func (a *amendment) settle(refused error) error {
	e := a.engine
	a.refused = refused
	switch {
	case refused == nil && (a.applies || a.lacking):
		e.grants.taken(a.grant)
	case refused != nil && a.applies && a.stubborn:
		e.grants.hold(a.after, a.owed...)
		e.unsaved.kick()
	case refused != nil:
		return refused
	}
	if a.frees && (a.applies || a.again) {
		e.release(a.dependants)
	}
	if a.applies {
		a.then()
	}
	return refused
}

// prepare applies a to its grant as it stands and returns what is to be written then.
func (e *Engine) prepare(a *amendment, s standing) (recs []record.Record, err error) {
	a.after = s.Grant
	switch {
	case s.err != nil && a.stubborn:
		// What is there cannot be read; what has come must not be lost over it.
		e.log.Error("cannot read a grant: another is put in its place", "name", a.grant, "error", s.err)
		a.after = record.Grant{Name: a.grant}
	case s.err != nil:
		return nil, s.err
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
		en.noteNoRecord()
		if en.hold != nil {
			e.applyLocked(en, freed{}, now)
		}
		en.mu.Unlock()
	}
}
