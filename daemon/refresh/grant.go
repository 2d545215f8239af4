package refresh

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// Sources of a grant, as STATUS shows them.
const (
	fromConfig   = "config"
	fromPut      = "put"
	fromExchange = "exchange"
	fromRotation = "rotation"
	fromList     = "list"
)

// grants keeps what customers gave once. They stay on disk, not in memory: a
// platform may have a million customers of whom a thousand are served. Its zero value
// wants a store.
type grants struct {
	store Store

	// mu makes reading, changing and writing a grant one step. It is held while
	// the disk is written, which is the point of it.
	mu sync.Mutex

	// unsaved are grants that the disk has refused, by name: they are in force all
	// the same, because the ones they replace may be dead. Guarded by held.
	held    sync.Mutex
	unsaved map[string]record.Grant
}

// get returns the grant called name; its zero value where there is none.
func (g *grants) get(name string) (record.Grant, error) {
	g.held.Lock()
	unsaved, ok := g.unsaved[name]
	g.held.Unlock()
	if ok {
		return unsaved, nil
	}
	r, err := g.store.Get(record.Grants, name)
	if err != nil || r.Value == nil {
		return record.Grant{Name: name}, err
	}
	return record.DecodeGrant(r)
}

// keep remembers what the disk has refused, and forgets what it has taken.
func (g *grants) keep(grant record.Grant, refused bool) {
	g.held.Lock()
	defer g.held.Unlock()
	if !refused {
		delete(g.unsaved, grant.Name)
		return
	}
	if g.unsaved == nil {
		g.unsaved = map[string]record.Grant{}
	}
	g.unsaved[grant.Name] = grant
}

// live returns the grant called name, or the *Error that says that the customer must
// authorise.
func (g *grants) live(name string) (record.Grant, error) {
	grant, err := g.get(name)
	if err != nil {
		return grant, fmt.Errorf("grant %s: %w", name, err)
	}
	if !grant.Live() {
		why := "the customer has not authorised"
		if !grant.Revoked.IsZero() {
			why = "the customer has taken the authorization back at " + grant.Revoked.UTC().Format(time.RFC3339)
		}
		return grant, &Error{Reason: Reauth, RetryAfter: Never, Message: why + ": an authorization is needed"}
	}
	return grant, nil
}

// change applies f to the grant called name and writes it together with recs, unless f
// returns false. Nothing is changed if the disk refuses.
func (g *grants) change(ctx context.Context, name string, f func(*record.Grant) bool, recs ...record.Record) (changed bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	grant, err := g.get(name)
	if err != nil {
		return false, err
	}
	if !f(&grant) {
		return false, nil
	}
	if err := g.store.Put(ctx, append(recs, grant.Encode())...); err != nil {
		return false, err
	}
	g.keep(grant, false)
	return true, nil
}

// rotate writes recs and, in the same step, next as the grant called name in place of
// used, the one that the call was made with. A grant that has been given meanwhile is
// newer and stays, with next behind it. What the disk refuses is in force all the same
// until it takes it: WeChat may regard used as dead.
func (g *grants) rotate(ctx context.Context, name string, used, next secret.Text, recs []record.Record) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	grant, err := g.get(name)
	if err != nil {
		return err
	}
	came := record.Generation{Value: next, At: time.Now(), Source: fromRotation}
	if grant.Value == used {
		revoked := grant.Revoked
		grant.Replace(came)
		grant.Revoked = revoked // the customer's word stands
	} else {
		newer := grant.Generation
		grant.Replace(came)
		grant.Replace(newer)
	}
	err = g.store.Put(ctx, append(recs, grant.Encode())...)
	g.keep(grant, err != nil)
	return err
}

// save tries to write the grants that the disk has refused.
func (g *grants) save(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held.Lock()
	unsaved := slices.Collect(maps.Values(g.unsaved))
	g.held.Unlock()
	for _, grant := range unsaved {
		if err := g.store.Put(ctx, grant.Encode()); err != nil {
			return err
		}
		g.keep(grant, false)
	}
	return nil
}

// Put stores what is handed in under name: a pushed ticket, which counts as of now, or
// a grant. It is durable when Put returns nil. Its error is an *Error
// where the name does not take what is handed in.
func (e *Engine) Put(ctx context.Context, name string, value secret.Text) error {
	spec, err := (*e.catalog.Load()).Lookup(name)
	if err != nil {
		return err
	}
	switch p := spec.Kind.policy(); {
	case p.pushed > 0:
		return e.Push(ctx, name, value, time.Time{})
	case p.grant:
		_, err := e.give(ctx, name, record.Generation{Value: value, At: time.Now(), Source: fromPut})
		return err
	}
	return &Error{Reason: Unfit, RetryAfter: Never, Message: name + " is fetched from WeChat: only pushed tickets and grants can be put"}
}

// give puts next in force as the grant called name, and lets those that were
// without one ask again.
func (e *Engine) give(ctx context.Context, name string, next record.Generation) (changed bool, err error) {
	changed, err = e.grants.change(ctx, name, func(g *record.Grant) bool {
		if g.Live() && g.Value == next.Value {
			return false
		}
		g.Replace(next)
		return true
	})
	if err != nil {
		return false, err
	}
	if changed {
		e.log.Info("grant stored", "name", name, "source", next.Source)
		e.watchers.tell(Listing{Name: name, State: Fresh})
	}
	if changed || next.Source == fromPut {
		// Whoever puts the same grant again wants it tried again.
		e.release(name)
	}
	return changed, nil
}

// release ends the holds of what lives by a grant that has just been given.
func (e *Engine) release(grant string) {
	now := e.clock.Now()
	var ended []record.Record
	for _, name := range (*e.catalog.Load()).Dependants(grant) {
		ended = append(ended, record.Record{Table: record.Holds, Key: name})
		en := e.index.get(name)
		if en == nil {
			continue
		}
		en.mu.Lock()
		if en.hold != nil {
			en.hold, en.refresh = nil, now
			e.tellLocked(en, now, false)
			e.planLocked(en, now)
		}
		en.mu.Unlock()
	}
	if err := e.forget(ended); err != nil {
		e.log.Error("cannot delete the holds that a grant has ended: they hold until it is read again", "name", grant, "error", err)
	}
}

// Revoke takes a grant out of force: the customer has taken it back at the time at. What
// lives by it is gone at once, and all of it durably when Revoke returns nil. A
// revocation that is older than the grant is history and changes nothing.
func (e *Engine) Revoke(ctx context.Context, grant string, at time.Time) error {
	at = believed(at, time.Now())
	var ended []record.Record
	dependants := (*e.catalog.Load()).Dependants(grant)
	for _, name := range dependants {
		ended = append(ended,
			record.Record{Table: record.Credentials, Key: name},
			record.Record{Table: record.Holds, Key: name})
	}
	changed, err := e.grants.change(ctx, grant, func(g *record.Grant) bool {
		// Recorded also where there is no grant yet: the message may have overtaken the
		// exchange of the authorization that it ends.
		if g.At.After(at) || !g.Revoked.Before(at) {
			return false
		}
		g.Revoked = at
		return true
	}, ended...)
	if err != nil || !changed {
		return err
	}
	why := &Error{Reason: Reauth, RetryAfter: Never, Message: "the customer has just taken the authorization back: an authorization is needed"}
	for _, name := range dependants {
		if en := e.index.get(name); en != nil {
			en.mu.Lock()
			e.dropLocked(en, why)
			en.mu.Unlock()
		}
	}
	e.watchers.tell(Listing{Name: grant, State: Held})
	e.log.Warn("authorization taken back by the customer", "name", grant)
	return nil
}

// believed returns a message's own time, or now where it has none or is off by more
// than ten minutes ahead: a clock that is wrong upstream must not outrank all that
// comes after it.
func believed(at, now time.Time) time.Time {
	if at.IsZero() || at.Sub(now) > tolerance {
		return now
	}
	return at
}

// tolerance is how far a message's own time may be from the host's.
const tolerance = 10 * time.Minute

// list returns the grants under prefix, in no order. A grant that was taken back is
// listed as held: only the customer can end that.
func (g *grants) list(prefix string) []Listing {
	var all []Listing
	for r, err := range g.store.All(record.Grants) {
		if err != nil || !strings.HasPrefix(r.Key, prefix) {
			continue
		}
		l := Listing{Name: r.Key, State: Fresh}
		if grant, err := record.DecodeGrant(r); err == nil && !grant.Live() {
			l.State = Held
		}
		all = append(all, l)
	}
	return all
}

// status returns all there is to say of a grant but its value.
func (g *grants) status(spec Spec) (Status, error) {
	grant, err := g.get(spec.Name)
	if err != nil {
		return Status{}, err
	}
	s := Status{Listing: Listing{Name: spec.Name}, Kind: spec.Kind.String(), Durable: true, Source: grant.Source}
	g.held.Lock()
	if _, unsaved := g.unsaved[spec.Name]; unsaved {
		s.Durable = false
	}
	g.held.Unlock()
	if grant.Value == "" {
		return s, nil
	}
	s.State, s.FetchedAt, s.Generations = Fresh, grant.At.UTC(), 1+len(grant.Earlier)
	s.Fingerprint = fingerprint(grant.Value)
	if !grant.Live() {
		s.State, s.Held, s.ErrorAt = Held, true, grant.Revoked.UTC()
		s.LastError = "taken back by the customer"
	}
	return s, nil
}
