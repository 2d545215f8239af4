package refresh

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/daemon/throttle"
	"tokend/fetchers/secret"
)

// Sources of a grant, as STATUS shows them.
const (
	fromConfig   = "config"
	fromPut      = "put"
	fromExchange = "exchange"
	fromEvent    = "event" // of a code that WeChat has sent
	fromRotation = record.FromRotation
	fromList     = "list"
	fromOffer    = record.FromOffer
	fromAnswer   = record.FromAnswer // STATUS shows fromRotation
)

// grantStore keeps what customers gave once. They stay on disk, not in memory: a
// platform may have a million customers of whom a thousand are served. What changes a grant
// is done with its name locked. Its zero value needs a store.
type grantStore struct {
	store Store

	// unsaved are grants that the disk has refused, by name: they are in force all
	// the same, because the ones they replace may be dead.
	mu      sync.Mutex
	unsaved map[string]unsavedGrant

	watches map[*grantWatch]struct{} // one for each page of a list that is being read
}

// unsavedGrant is a grant that the disk has refused, and what is to be written with it.
type unsavedGrant struct {
	record.Grant
	with    []record.Record
	pending bool // the peers store it
}

// get returns the grant called name; its zero value where there is none.
func (g *grantStore) get(name string) (record.Grant, error) {
	s := g.read([]string{name})[0]
	return s.Grant, s.err
}

// storedGrant is a grant in force, or why it is unknown. Its zero value is of no grant.
type storedGrant struct {
	record.Grant
	err error
}

// read returns how the grants called names stand; none for an empty name.
func (g *grantStore) read(names []string) []storedGrant {
	all := make([]storedGrant, len(names))
	stored, at := make([]string, 0, len(names)), make([]int, 0, len(names))
	g.mu.Lock()
	for i, name := range names {
		if unsaved, ok := g.unsaved[name]; ok {
			all[i].Grant = unsaved.Grant
		} else if name != "" {
			stored, at = append(stored, name), append(at, i)
		}
	}
	g.mu.Unlock()
	if len(stored) == 0 {
		return all
	}
	n := 0
	for r, err := range g.store.GetEach(record.Grants, stored) {
		s := &all[at[n]]
		s.Name = stored[n]
		if err == nil && r.Value != nil {
			s.Grant, err = record.DecodeGrant(r)
		}
		if err != nil {
			s.err = &faultError{fmt.Errorf("read the grant %s: %w", stored[n], err)}
		}
		n++
	}
	return all
}

// hold puts a grant that the disk has refused in force; recs, which tell of it, are written with
// it.
func (g *grantStore) hold(grant record.Grant, recs ...record.Record) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.unsaved == nil {
		g.unsaved = map[string]unsavedGrant{}
	}
	g.unsaved[grant.Name] = unsavedGrant{Grant: grant, with: append(g.unsaved[grant.Name].with, recs...)}
	g.noteLocked(grant.Name)
}

// await puts a grant in force that the peers are about to store.
func (g *grantStore) await(grant record.Grant) {
	g.hold(grant)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unsaved[grant.Name] = unsavedGrant{Grant: grant, pending: true}
}

// owed returns what the disk still lacks of the grant called name: to be written with
// the next of its values.
func (g *grantStore) owed(name string) []record.Record {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.unsaved[name].with
}

// lacks reports whether the disk lacks the grant called name as it is in force.
func (g *grantStore) lacks(name string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	unsaved, ok := g.unsaved[name]
	return ok && !unsaved.pending
}

// taken notes that the disk has taken the grant called name.
func (g *grantStore) taken(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.unsaved, name)
	g.noteLocked(name)
}

// refused returns the names of the grants that the disk has refused.
func (g *grantStore) refused() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var names []string
	for name, unsaved := range g.unsaved {
		if !unsaved.pending {
			names = append(names, name)
		}
	}
	return names
}

// live returns the grant called name, or the *credential.Error that says that the customer must
// authorise.
func (g *grantStore) live(name string) (record.Grant, error) {
	grant, err := g.get(name)
	if err != nil {
		return grant, err
	}
	if !grant.Live() {
		why := "the customer has not authorized"
		if !grant.Revoked.IsZero() {
			why = "the customer has taken the authorization back at " + grant.Revoked.UTC().Format(time.RFC3339)
		}
		return grant, &credential.Error{Reason: credential.Reauth, RetryAfter: credential.Never, Message: why + ": an authorization is needed"}
	}
	return grant, nil
}

// rotate writes recs to to and, in the same step, next as the grant called name in place of
// used, with which the call was made. A grant that was given during the call is
// newer and stays, with next behind it. What the disk refuses is in force all the same
// until it takes it: WeChat may regard used as dead. The grant's name is locked.
func (g *grantStore) rotate(to putter, name string, used, next secret.Text, now time.Time, recs []record.Record) error {
	grant, unreadable := g.get(name)
	if unreadable != nil {
		// It was readable when the call was made, so used is what it held.
		grant = record.Grant{Name: name, Generation: record.Generation{Value: used, Source: fromRotation}}
	}
	came := record.Generation{Value: next, At: now, Source: fromRotation}
	if grant.Value == used {
		revoked := grant.Revoked
		if outranks(grant.At, came.At, now) {
			came.At = grant.At // dated by WeChat's clock, which is ahead: see authorized
		}
		grant.Replace(came)
		grant.Revoked = revoked // the customer's word stands
	} else {
		came.Source = fromOffer // used if WeChat refuses the grant that was given during the call
		grant.Shelve(came)
	}
	err := to.Put(context.Background(), slices.Concat(g.owed(name), recs, []record.Record{grant.Encode()})...)
	switch {
	case err == nil:
		g.taken(name)
	case pending(err):
		g.await(grant)
	case newerIn(err) == nil:
		g.hold(grant)
	}
	return err
}

// saveGrant tries to write the grant called name, which the disk has refused. nil: it is on disk.
func (e *Engine) saveGrant(ctx context.Context, name string) error {
	for round := 1; ; round++ {
		if err := e.saveGrantOnce(ctx, name); err == nil || !e.renewed(err, round) {
			return notStored(err)
		}
	}
}

func (e *Engine) saveGrantOnce(ctx context.Context, name string) error {
	end, err := e.locks.lock(ctx, name)
	if err != nil {
		return err
	}
	defer end()
	e.grants.mu.Lock()
	unsaved, ok := e.grants.unsaved[name]
	e.grants.mu.Unlock()
	if !ok || unsaved.pending {
		return nil
	}
	err = e.cfg.Store.Put(ctx, append(slices.Clip(unsaved.with), unsaved.Encode())...)
	if err == nil {
		e.grants.taken(name)
	}
	return err
}

// readmit makes next the value in force of g, whose customer has authorized again. If it ends a
// revocation, it is dated after that one, even if WeChat's clock is ahead of the host's or still
// shows the same second. WeChat may repeat the message of the revocation, which then has no effect.
func readmit(g *record.Grant, next record.Generation, now time.Time) {
	if end := g.Revoked.Truncate(time.Second).Add(time.Second); !g.Revoked.IsZero() && outranks(end, next.At, now) {
		next.At = end
	}
	renew(g, next, now)
}

// renew makes next the value in force of g. WeChat answers every code with the grant that is in
// force at the call. So the last answer has the value to use, even if its code or event is older
// than an earlier one. The authorization stays as late as it was: a revocation that it outranked is
// history still.
func renew(g *record.Grant, next record.Generation, now time.Time) {
	if last := authorized(g); outranks(last, next.At, now) {
		next.At = last
	}
	g.Replace(next)
}

// believed returns the time at that a message states, or now, which this host's clock shows, if it
// states none. The message of a single host counts as of now, too, if it is more than ten minutes
// ahead. With peers it does not: this host's clock may be wrong, and messages that arrive
// at hosts with other clocks are compared with it.
func (e *Engine) believed(at, now time.Time) time.Time {
	if at.IsZero() || e.cfg.Peers == nil && at.Sub(now) > tolerance {
		return now
	}
	return at
}

// outranks reports whether a, which was noted earlier, is later than b, the time of what has come
// now. Far in the future, a was noted by a wrong clock: it outranks nothing, or it would lock out
// for ever what comes later. This host's clock may be wrong, too: if it is behind, it takes what
// other hosts have noted for the future. But what comes now was sent not long ago. So a is in the
// future if it is for both clocks. Only a message that is late by more than the tolerance is taken
// for a later one then, by a host whose clock is behind by more than that.
func outranks(a, b, now time.Time) bool { return a.After(b) && !future(a, b, now) }

// future reports whether a is far in the future, by the time b of what has come now, and by the
// clock that shows now.
func future(a, b, now time.Time) bool { return a.Sub(b) > tolerance && a.Sub(now) > tolerance }

// authorized returns when the customer gave the authorization that g lives by. A rotation is
// WeChat's doing, not the customer's: it is no later word. If only rotations are stored, the
// authorization was in force when the oldest of them was made, and that is long ago. What came late
// is stored before what is newer: the newest counts.
func authorized(g *record.Grant) time.Time {
	var at, late time.Time
	for _, v := range g.All() {
		at = v.At
		switch v.Source {
		case fromRotation:
		case fromOffer, fromAnswer:
			late = lastOf(late, at)
		default:
			return lastOf(late, at)
		}
	}
	if len(g.Earlier) < record.Generations {
		return late
	}
	return lastOf(late, at)
}

func lastOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// tolerance is how far a message's own time may be from the host's.
const tolerance = 10 * time.Minute

// each yields the grants under prefix, in no order. A grant that was taken back is
// listed as held: only the customer can end that. Each record that is read is a step of work.
func (g *grantStore) each(prefix string, work *throttle.Work) iter.Seq2[string, credential.State] {
	return func(yield func(string, credential.State) bool) {
		for r, err := range g.store.All(record.Grants) {
			if !work.Step() {
				return
			}
			if err != nil || !strings.HasPrefix(r.Key, prefix) {
				continue
			}
			state := credential.Fresh
			if live, err := record.LiveGrant(r); err == nil && !live {
				state = credential.Held
			}
			if !yield(r.Key, state) {
				return
			}
		}
	}
}

// status returns all there is to say of a grant but its value.
func (g *grantStore) status(spec Spec, m fingerprinter) (credential.Status, error) {
	grant, err := g.get(spec.Name)
	if err != nil {
		return credential.Status{}, err
	}
	s := credential.Status{Listing: credential.Listing{Name: spec.Name}, Kind: spec.Policy.Word, Durable: !g.lacks(spec.Name), Source: grant.Source}
	if s.Source == fromAnswer {
		s.Source = fromRotation // to its readers, WeChat has replaced another by it
	}
	if grant.Value != "" {
		s.State, s.FetchedAt, s.Generations = credential.Fresh, grant.At.UTC(), 1+len(grant.Earlier)
		s.Fingerprint = m.of(grant.Value)
	}
	if !grant.Revoked.IsZero() {
		s.State, s.Held, s.ErrorAt = credential.Held, true, grant.Revoked.UTC()
		s.LastError = "taken back by the customer"
	}
	return s, nil
}

// grantWatch is the names of the grants that have changed since it was made, and of the credentials
// that were fetched with one.
type grantWatch struct {
	grants *grantStore
	names  map[string]struct{} // guarded by the mu of grants
}

// watch returns what will have changed from now on, until end.
func (g *grantStore) watch() (c *grantWatch, end func()) {
	c = &grantWatch{g, map[string]struct{}{}}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.watches == nil {
		g.watches = map[*grantWatch]struct{}{}
	}
	g.watches[c] = struct{}{}
	return c, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.watches, c)
	}
}

// has reports whether name is one of c's. A nil c has none.
func (c *grantWatch) has(name string) bool {
	if c == nil {
		return false
	}
	c.grants.mu.Lock()
	defer c.grants.mu.Unlock()
	_, ok := c.names[name]
	return ok
}

// note notes that the credential called name was fetched with a grant.
func (g *grantStore) note(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.noteLocked(name)
}

func (g *grantStore) noteLocked(name string) {
	for c := range g.watches {
		c.names[name] = struct{}{}
	}
}
