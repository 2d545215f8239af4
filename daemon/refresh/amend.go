package refresh

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
)

// change is one thing that changes what is stored under names, on disk and in memory: a grant that
// is given or taken back, a ticket that is pushed. It is carried out once, and its methods are
// called in this order, with its names locked; prepare again, if another host was first.
type change interface {
	// names appends the names that are locked for it.
	names(to []string) []string

	// needs returns the name of the grant that prepare receives; "" for none.
	needs() string

	// prepare returns what is to be written, nothing if that is on disk already. After an error
	// there is nothing more to be done.
	prepare(storedGrant) ([]record.Record, error)

	// settle makes visible what is durable, or does what is to be done where it is not: refused
	// says why. It returns how the change has ended.
	settle(refused error) error
}

// namesOf is how many names most changes take: those of a grant and of what lives by it.
const namesOf = 4

// carryOut carries out changes: what they write, they write at once, and it is durable before it is
// visible. The names stay locked until then. It returns how each has
// ended: what is wrong with the one is no matter of the others.
func (e *Engine) carryOut(ctx context.Context, all ...change) []error {
	return e.carryOutBy(ctx, e.cfg.Store, all...)
}

// carryOutBy is carryOut by a write to to.
func (e *Engine) carryOutBy(ctx context.Context, to putter, all ...change) []error {
	for round := 1; ; round++ {
		errs := e.carryOutOnce(ctx, to, all, round == mostRounds)
		at := slices.IndexFunc(errs, func(err error) bool { return newerIn(err) != nil })
		switch {
		case at < 0:
			return errs
		case errors.Is(errs[at], ErrOvertaken):
			return errs
		case !e.renewed(errs[at], round):
			return errs
		case len(all) == 1 || !slices.ContainsFunc(errs, func(err error) bool { return newerIn(err) == nil }):
			continue // all of them again
		}
		for i, err := range errs {
			if newerIn(err) != nil {
				errs[i] = e.carryOutBy(ctx, to, all[i])[0]
			}
		}
		return errs
	}
}

// carryOutOnce is carryOutBy, unless newer records of another host are in the way of a change: then
// nothing has come of it, and that is its error. last: it is not tried again, but ends as if the
// disk had refused it.
func (e *Engine) carryOutOnce(ctx context.Context, to putter, all []change, last bool) []error {
	errs := make([]error, len(all))
	names := make([]string, 0, namesOf*len(all))
	for _, c := range all {
		names = c.names(names)
	}
	end, err := e.locks.lock(ctx, names...)
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	defer end()
	needs := make([]string, len(all))
	for i, c := range all {
		needs[i] = c.needs()
	}
	parts := make([][]record.Record, len(all))
	for i, s := range e.grants.read(needs) {
		parts[i], errs[i] = all[i].prepare(s)
	}
	refused := write(ctx, to, slices.Concat(parts...))
	for i, c := range all {
		if errs[i] != nil {
			continue
		}
		why := refused
		if why != nil && (len(parts[i]) == 0 || len(all) > 1 && ctx.Err() == nil && newerIn(why) == nil && !cutOff(why)) {
			why = write(ctx, to, parts[i]) // it may have been another's fault: too much for one commit, say
		}
		switch errs[i] = why; {
		case newerIn(why) == nil:
			errs[i] = c.settle(why)
		case last && !errors.Is(why, ErrOvertaken):
			errs[i] = c.settle(contended(why))
		}
	}
	return errs
}

// write writes recs to to, if there are any.
func write(ctx context.Context, to putter, recs []record.Record) error {
	if len(recs) == 0 {
		return nil
	}
	return to.Put(ctx, recs...)
}

// contended returns the error of a change that other hosts were first with each time: err.
func contended(err error) error {
	return &credential.Error{Reason: credential.Unreachable, RetryAfter: time.Second, Message: "nothing stored: other hosts keep changing the records", Err: err}
}

// notStored returns the error for a client whose change was refused with err by the other hosts'
// store, or err.
func notStored(err error) error {
	message := unreachable + ": stored on this host only so far"
	apart, ok := errors.AsType[*ApartError](err)
	switch {
	case pending(err):
	case ok && refusesWrites(apart):
		message = apart.Reason
	case ok:
		message = apart.Reason + ": nothing stored"
	default:
		return err
	}
	return &credential.Error{Reason: credential.Unreachable, RetryAfter: apartPause, Message: message, Err: err}
}

// amendment is a change to a grant, with all that follows from it on disk and in memory.
type amendment struct {
	// Set by the caller.
	grant    string
	concerns string                   // a name besides those that live by the grant, "" for none
	apply    func(*record.Grant) bool // changes the grant, or reports that nothing is to be changed
	with     []record.Record          // written with the grant; apply may set it
	then     func()                   // follows when the grant is durable, with its name locked

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
	owed       []record.Record // what is to be written with it, but for values and histories
	refused    error           // why the disk has not got it
	engine     *Engine
	err        error // how it has ended
}

// amend makes changes to grants: all in one write, and durable before they are visible. The names
// of the grants and of their dependants are locked. Where the disk refuses one, nothing has changed
// about it, unless it is stubborn. It returns the first error, if there is one; each amendment has
// its own.
func (e *Engine) amend(ctx context.Context, all ...*amendment) error {
	return e.amendBy(ctx, e.cfg.Store, all...)
}

// amendBy is amend by a write to to.
func (e *Engine) amendBy(ctx context.Context, to putter, all ...*amendment) error {
	changes := make([]change, len(all))
	for i, a := range all {
		a.engine = e
		changes[i] = a
	}
	for i, err := range e.carryOutBy(ctx, to, changes...) {
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

func (a *amendment) prepare(s storedGrant) (recs []record.Record, err error) {
	return a.engine.prepare(a, s)
}

func (a *amendment) settle(refused error) error {
	e := a.engine
	a.refused = refused
	switch {
	case refused == nil && (a.applies || a.lacking):
		e.grants.taken(a.grant)
	case pending(refused):
		e.grants.await(a.after)
	case refused != nil && a.applies && a.stubborn:
		e.grants.hold(a.after, a.owed...)
		e.unsaved.kick()
	case refused != nil:
		return notStored(refused)
	}
	if a.frees && (a.applies || a.again) {
		e.release(a.dependants)
	}
	if a.applies {
		a.then()
	}
	return notStored(refused)
}

// prepare applies a to its grant as it stands and returns what is to be written then.
func (e *Engine) prepare(a *amendment, s storedGrant) (recs []record.Record, err error) {
	a.after = s.Grant
	switch {
	case s.err != nil && a.stubborn:
		// The stored grant is unreadable. The new one must not be lost because of that.
		e.log.Error("cannot read a grant: another is put in its place", "name", a.grant, "error", s.err)
		a.after = record.Grant{Name: a.grant}
	case s.err != nil:
		return nil, s.err
	}
	a.again = false
	a.applies = a.apply(&a.after)
	a.lacking = e.grants.lacks(a.grant)
	if !a.applies && !a.again && !a.lacking {
		return nil, nil
	}
	recs = slices.Clone(a.with)
	revives := e.cfg.Peers != nil && !s.Revoked.IsZero() && a.after.Live()
	for _, name := range a.dependants {
		if !a.ends && !a.frees || !a.applies && !a.again {
			break
		}
		// Most have none: a customer's first grant comes before its first token.
		if r, err := e.cfg.Store.Get(record.Holds, name); err != nil || r.Value != nil {
			recs = append(recs, record.Record{Table: record.Holds, Key: name})
		}
		if a.ends || revives && a.isDead(name) {
			recs = append(recs, withoutValue(name)...)
		}
	}
	a.owed = slices.DeleteFunc(slices.Clone(recs), func(r record.Record) bool { return r.Table == record.Credentials || r.Table == record.Histories })
	if a.applies || a.lacking {
		recs = slices.Concat(e.grants.owed(a.grant), recs, []record.Record{a.after.Encode()})
	}
	return recs, nil
}

// isDead reports whether a value of name is stored, although the authorization that it was fetched
// with was withdrawn: it came back with a backup of etcd. What a writes itself is not dead.
func (a *amendment) isDead(name string) bool {
	if slices.ContainsFunc(a.with, func(r record.Record) bool { return r.Table == record.Credentials && r.Key == name }) {
		return false
	}
	r, err := a.engine.cfg.Store.Get(record.Credentials, name)
	return err == nil && r.Value != nil
}

// release ends the holds of what lives by a grant that has just been given. Their records are
// gone already.
func (e *Engine) release(dependants []string) {
	now := e.clock.Now()
	e.eachEntry(dependants, func(en *entry) {
		en.noteNoRecord()
		if en.hold != nil {
			e.applyLocked(en, holdDropped{}, now)
		}
	})
}

// eachEntry calls do for each of names that has an entry, whose mu is held.
func (e *Engine) eachEntry(names []string, do func(*entry)) {
	for _, name := range names {
		if en := e.index.get(name); en != nil {
			en.mu.Lock()
			do(en)
			en.mu.Unlock()
		}
	}
}

// outlast returns what do returns, or ctx's error as soon as ctx has ended. A disk that hangs
// delays a commit that has begun without limit, and no caller has to wait for that. do continues
// then, its changes take effect, and the engine's end waits for it.
func (e *Engine) outlast(ctx context.Context, do func() error) error {
	ended := make(chan error, 1)
	e.life.Lock()
	if e.stopped {
		e.life.Unlock()
		return stopping()
	}
	e.flights.Go(func() { ended <- e.faultless(do) })
	e.life.Unlock()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended: // both have come at once
		return err
	default:
		return ctx.Err()
	}
}

// faultless returns what do returns. A fault of do is logged, and an error.
func (e *Engine) faultless(do func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			e.log.Error("a submitted value was not stored because of a fault in tokend", "panic", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
			err = &faultError{errors.New("a fault in tokend")}
		}
	}()
	return do()
}
