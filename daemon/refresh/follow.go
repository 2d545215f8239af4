package refresh

import (
	"context"
	"slices"
	"sync"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/record"
)

// Follow takes over records that other hosts, or this one, have stored where all hosts find them.
// They are written to the store of this host, which keeps what is newer, and what is stored then is
// put in force. So a record may come more than once, and late. The names of records must not be
// locked. A nil Value says that there is no such record any more.
func (e *Engine) Follow(recs ...record.Record) {
	for len(recs) > 0 {
		n := together(recs)
		e.followSome(recs[:n])
		recs = recs[n:]
	}
}

// together returns how many of the first of recs are taken over at once: not too many, but all of
// one change.
func together(recs []record.Record) int {
	n := min(len(recs), forgetBatch)
	for n < len(recs) && recs[n].Revision != 0 && recs[n].Revision == recs[n-1].Revision {
		n++
	}
	return n
}

// followedEarly is what was followed while the store was being loaded. It is in the store, and put
// in force when all else is. The zero value is ready.
type followedEarly struct {
	mu   sync.Mutex
	over bool
	recs []record.Record
}

// add takes recs, unless the loading is over.
func (f *followedEarly) add(recs []record.Record) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over {
		f.recs = append(f.recs, recs...)
	}
	return !f.over
}

// end returns what was followed, when the loading is over.
func (f *followedEarly) end() []record.Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	recs := f.recs
	f.recs = nil
	return recs
}

// followed is records that are taken over together.
type followed struct {
	e        *Engine
	recs     []record.Record // with the instants of this boot
	before   []storedGrant   // the grants among recs as they were; by the index of recs
	volatile bool            // the disk has refused them
	values   []string        // names of credentials with other values than before
}

func (e *Engine) followSome(recs []record.Record) {
	f := &followed{e: e, recs: make([]record.Record, len(recs))}
	for i, r := range recs {
		f.recs[i] = e.here(r)
	}
	end, _ := e.locks.lock(context.Background(), f.names()...)
	f.before = e.grants.read(f.grants())
	if err := write(context.Background(), e.cfg.Store, f.stored()); err != nil {
		e.log.Error("cannot write what another host has stored: it is in force in memory", "error", err)
		f.volatile = true
	}
	if e.followedEarly.add(f.recs) {
		end()
		return
	}
	f.apply()
	end()
	f.after()
}

// followEarly puts in force what was followed during the loading, which is over.
func (e *Engine) followEarly() {
	recs := e.followedEarly.end()
	for batch := range slices.Chunk(recs, forgetBatch) {
		f := &followed{e: e, recs: batch, before: make([]storedGrant, len(batch))}
		end, _ := e.locks.lock(context.Background(), f.names()...)
		f.apply()
		end()
		f.after()
	}
}

// names returns the names that are locked while f is taken over.
func (f *followed) names() (names []string) {
	for _, r := range f.recs {
		switch r.Table {
		case record.Claims:
			continue
		case record.Grants:
			names = append(names, (*f.e.catalog.Load()).Dependants(r.Key)...)
		}
		names = append(names, r.Key)
	}
	return names
}

// grants returns the names of the grants among the records, and "" for each other.
func (f *followed) grants() []string {
	names := make([]string, len(f.recs))
	for i, r := range f.recs {
		if r.Table == record.Grants {
			names[i] = r.Key
		}
	}
	return names
}

// stored returns the records that have a place in the store.
func (f *followed) stored() []record.Record {
	return slices.DeleteFunc(slices.Clone(f.recs), func(r record.Record) bool { return r.Table == record.Claims })
}

// apply puts in force what is stored under the keys of f. Their names are locked.
func (f *followed) apply() {
	for i, r := range f.recs {
		if r.Table == record.Claims || r.Table == record.Keys {
			continue
		}
		now := r
		if !f.volatile {
			var err error
			if now, err = f.e.cfg.Store.Get(r.Table, r.Key); err != nil {
				f.e.log.Error("cannot read what another host has stored", "table", r.Table, "name", r.Key, "error", err)
				continue
			}
		}
		if err := f.applyOne(now, &f.before[i]); err != nil {
			f.e.log.Error("cannot use what another host has stored", "table", r.Table, "name", r.Key, "error", err)
		}
	}
}

func (f *followed) applyOne(r record.Record, before *storedGrant) error {
	switch r.Table {
	case record.Credentials:
		return f.value(r)
	case record.Grants:
		return f.grant(r, before)
	case record.Holds:
		return f.e.followHold(r)
	case record.Budgets:
		return f.e.followBudget(r)
	case record.Codes:
		return f.e.followCode(r)
	case record.Exchanged:
		return f.e.followSpent(r)
	}
	return nil
}

// after does what follows from f and locks other names, or none.
func (f *followed) after() {
	for _, name := range f.values {
		f.e.wakeChildren(name)
		f.e.claims.wake(name)
	}
	for _, r := range f.recs {
		switch r.Table {
		case record.Claims:
			f.e.followClaim(r)
		case record.Codes, record.Exchanged:
			f.e.claims.wake(r.Key)
		}
	}
}

// value puts the stored value r in force. A credential without an entry gets it when it is
// requested.
func (f *followed) value(r record.Record) error {
	e := f.e
	spec, err := e.lookup(r.Key)
	if err != nil || r.Value == nil {
		return nil // of an account that other hosts have; or what was in force ends by its time
	}
	v, err := record.DecodeCredential(r)
	if err != nil || v.Target != spec.Target {
		return err
	}
	f.values = append(f.values, r.Key)
	if spec.Grant != "" {
		e.grants.note(r.Key)
	}
	if en := e.index.get(r.Key); en != nil {
		e.followValue(en, e.alike(e.kept(v)))
	}
	return nil
}

// followValue puts c in force as the value of en. Its name is locked.
func (e *Engine) followValue(en *entry, c *cached) {
	en.mu.Lock()
	defer en.mu.Unlock()
	before, now := en.current.Load(), e.clock.Now()
	known := before != nil && before.text == c.text && before.issued == c.issued && before.seen == c.seen
	if known && before.end == c.end {
		en.noteSaved()
		return
	}
	unsaved := before != nil && en.volatile && before.text != c.text
	if !unsaved || before.issued <= c.issued { // else it is stored as soon as possible
		e.applyLocked(en, valueFollowed{value: c, refresh: e.due(en, c, now, c.seen > c.issued)}, now)
	}
	if unsaved && en.policy().Rotates {
		e.applyLocked(en, grantReplaced{now}, now) // either may be WeChat's newest
	}
}

// followHold puts the stored hold r in force, or ends the hold that was stored before.
func (e *Engine) followHold(r record.Record) error {
	if endpointOwner(r.Key) != "" {
		return e.followEndpoint(r)
	}
	en := e.index.get(r.Key)
	spec, err := e.lookup(r.Key)
	if err != nil || en == nil {
		return nil
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	now := e.clock.Now()
	if r.Value == nil {
		en.noteNoRecord()
		if h := en.hold; h != nil && !h.derived && !h.local() {
			e.applyLocked(en, holdDropped{}, now)
		}
		return nil
	}
	en.noteRecord()
	stored, err := record.DecodeHold(r)
	if err != nil || stored.Settings != spec.Settings {
		return err
	}
	h, was := e.resumed(stored, &spec), en.hold
	switch {
	case h.local(), h.until <= now:
	case was != nil && (was.until > h.until && was.local() || was.since == h.since && was.until == h.until):
	default:
		e.applyLocked(en, holdFollowed{h}, now)
		if en.sleepsLocked() {
			e.sleepers.add(spec.Parent, en)
		}
	}
	return nil
}

// followBudget takes over what all hosts have spent.
func (e *Engine) followBudget(r record.Record) error {
	if r.Value == nil {
		return nil
	}
	b, err := record.DecodeBudget(r)
	if err == nil {
		e.ledger.Follow(b.Key, e.keptTally(b))
	}
	return err
}

// followClaim takes note of a claim. A call that had no answer is made again by some host.
func (e *Engine) followClaim(r record.Record) {
	if r.Value == nil {
		e.claims.note(r.Key, record.Claim{})
		return
	}
	c, err := record.DecodeClaim(r)
	if err != nil {
		e.log.Error("cannot use a claim of another host", "name", r.Key, "error", err)
		return
	}
	if before := e.claims.of(r.Key); before == c {
		return
	}
	e.claims.note(r.Key, c)
	if c.State == record.Doubtful && c.Table == record.Credentials {
		e.doubt(c)
	}
}

// doubt makes what c is for due, whether clients request it or not: WeChat's value may be unknown.
func (e *Engine) doubt(c record.Claim) {
	spec, err := e.lookup(c.Name)
	if err != nil || spec.Policy.Grant || spec.Policy.PerAsk || spec.Policy.Pushed > 0 {
		return
	}
	if spec.Grant != "" {
		if _, err := e.grants.live(spec.Grant); err != nil {
			return // no call can be made now: see remind
		}
	}
	en, err := e.entry(c.Name)
	if err != nil {
		e.log.Debug("a call without an answer is not repeated yet", "name", c.Name, "error", err)
		return
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	now := e.clock.Now()
	e.applyLocked(en, doubtRaised{e.repeats(c, now)}, now)
}

// repeats returns when this host makes the call again that has left the doubt c.
func (e *Engine) repeats(c record.Claim, now clock.Instant) clock.Instant {
	place, _ := e.cfg.Peers.Rank(c.Name)
	return now.Add(doubtPause(c.Tries)).Add(time.Duration(place) * rankPause)
}

// here returns r by the clock of this boot.
func (e *Engine) here(r record.Record) record.Record {
	if r.Value == nil {
		return r
	}
	own, err := e.rebooted(r)
	if err != nil {
		e.log.Error("cannot read what another host has stored", "table", r.Table, "name", r.Key, "error", err)
	}
	return own
}
