package cluster

import (
	"bytes"
	"context"
	"errors"
	"math"
	"sync"

	"tokend/daemon/clock"
	"tokend/daemon/cluster/seal"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
)

// claims are the claims of all hosts, as far as this host knows, and this host's own flights.
type claims struct {
	host *Host

	mu      sync.Mutex
	all     map[string]storedClaim // by key; without a State: deleted, until the watch has seen it
	flights map[string]*flight     // by nonce: those whose claim may be used or is being given back
	missing map[string]storedClaim // by key: absent in etcd for a reason not known yet
	late    map[string]lateClaim   // by key: answers that have landed late
}

// storedClaim is a claim as etcd has it.
type storedClaim struct {
	record.Claim
	revision int64
}

// mostRounds is how often a claim is tried again at once because it was refused. After that, it
// depends on a record that this host cannot read.
const mostRounds = 5

func newClaims(h *Host) *claims {
	return &claims{host: h, all: make(map[string]storedClaim), flights: make(map[string]*flight), missing: make(map[string]storedClaim), late: make(map[string]lateClaim)}
}

// Claim implements [refresh.Peers].
func (h *Host) Claim(ctx context.Context, want refresh.Want, recs ...record.Record) (refresh.Claim, error) {
	f, err := h.claims.claim(ctx, want, recs)
	if f == nil {
		return nil, err
	}
	return f, err
}

// claim makes a claim, or says why it is not made. If the call needs none, it returns a flight
// without one instead of an error: WeChat repeats the value.
func (cs *claims) claim(ctx context.Context, want refresh.Want, recs []record.Record) (*flight, error) {
	h := cs.host
	key := h.keys.of(record.Claims, want.Name)
	if cs.host.offers.pending(key) {
		return cs.apart(want, unconfirmed(ErrUnknown)) // its answer may be the newest value
	}
	for round := 0; ; round++ {
		session, ok := h.sessions.Current()
		if !ok || want.Rotates && !session.Covers(h.cfg.Clock.Now(), h.cfg.Timeout) || round == mostRounds {
			return cs.apart(want, unconfirmed(ErrUnknown))
		}
		seen, f := cs.look(key)
		switch {
		case f != nil && !want.Rotates && f.epoch == session.Epoch && cs.again(f): // a poller's, from its last call
			err := f.Put(ctx, recs...)
			if errors.Is(err, refresh.ErrOvertaken) {
				continue
			}
			if f, err := granted(f, err); f != nil {
				return f, err
			}
			cs.keep(f) // the poller may make no call now
			return nil, err
		case seen.Epoch == session.Epoch && seen.Host == h.cfg.Host && seen.State == record.Calling:
			// A stray: see strays. Or a poller's, and the next call ends the value.
			cs.forget(seen.Nonce)
			cs.free(ctx, key, seen)
			if again, _ := cs.look(key); again.revision == seen.revision {
				return cs.apart(want, unconfirmed(ErrUnknown))
			}
			continue
		case cs.inForce(seen) && want.Alone:
			return granted(cs.without(want), h.store.Put(ctx, recs...))
		case cs.inForce(seen):
			h.counts.waited.Add(1)
			return nil, &refresh.TakenError{Host: seen.Host}
		}
		f, again, err := cs.try(ctx, key, seen, session, want, recs)
		if err != nil && isUnconfirmed(err) {
			return cs.apart(want, err)
		}
		if !again {
			return f, err
		}
	}
}

// granted returns f, unless its budgets have to be looked at again because of err.
func granted(f *flight, err error) (*flight, error) {
	if err != nil && !isUnconfirmed(err) {
		return nil, err
	}
	return f, err
}

// apart returns what a flight may do that has got no claim because of err.
func (cs *claims) apart(want refresh.Want, err error) (*flight, error) {
	if want.Rotates {
		return nil, err
	}
	return cs.without(want), err
}

// without returns a flight without a claim.
func (cs *claims) without(want refresh.Want) *flight {
	return &flight{claims: cs, want: want, key: cs.host.keys.of(record.Claims, want.Name), nonce: newNonce()}
}

// look returns the claim that etcd has under a key, and the flight that it is of, if that is this
// host's. The zero claim is none.
func (cs *claims) look(key string) (storedClaim, *flight) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	seen := cs.all[key]
	if seen.State == 0 {
		return storedClaim{}, nil
	}
	return seen, cs.flights[seen.Nonce]
}

// inForce reports whether the session of c's host lasts and c is not in doubt.
func (cs *claims) inForce(c storedClaim) bool {
	return c.State == record.Calling && cs.host.members.alive(c.Host, c.Epoch)
}

// try makes the transaction of a claim in place of seen, once. again: what the host knows of the
// claim was not current, and is now.
func (cs *claims) try(ctx context.Context, key string, seen storedClaim, session Session, want refresh.Want, recs []record.Record) (f *flight, again bool, err error) {
	h := cs.host
	f = &flight{claims: cs, want: want, key: key, nonce: newNonce(), epoch: session.Epoch, until: session.Until}
	if seen.State != 0 && doubted(want) { // whether etcd has it or has lost it
		f.tries = max(seen.Tries, 1)
	}
	claim := record.Claim{
		Name: want.Name, Table: want.Table, State: record.Calling, Host: h.cfg.Host, Epoch: f.epoch, Nonce: f.nonce,
		Begun: h.cfg.Clock.Time(), Tries: f.tries,
		Repeats: !want.Rotates,
	}
	put := h.keys.put(claim.Encode())
	own, recs := h.store.split(recs)
	d := h.store.draft(recs)
	for _, r := range wantRecords(want) {
		if !d.has(r) {
			d.expect(h.store, r, h.store.revision(r.Table, r.Key))
		}
	}
	presence, theirs := presenceKey(h.cfg.Prefix, h.cfg.Host), cs.abandoned(seen)
	d.ifs = append(d.ifs,
		Compare{Key: key, Field: Modified, Value: seen.revision},
		Compare{Key: presence, Field: Created, Value: session.Epoch})
	d.then = append(d.then, put)
	d.els = append(d.els, Op{Verb: Get, Key: key}, Op{Verb: Get, Key: presence})
	d.ifs = append(d.ifs, theirs...)
	f.intends(recs)
	cs.add(f) // known before etcd has it: otherwise the watch would release it
	o, err := h.submit(ctx, d.txn())
	won, revision := o.Held, o.Revision
	if err == nil && !won {
		if got := o.Got[len(d.recs)]; bytes.Equal(got.Value, put.Value) {
			won, revision = true, got.Modified
		}
	}
	switch {
	case err != nil:
		// If an attempt has been applied, or is applied later, the claim is released as soon as it
		// is seen.
		cs.forget(f.nonce)
		return nil, false, unconfirmed(err)
	case won:
		h.counts.claims.Add(1)
		if seen.revision != 0 {
			h.counts.takeovers.Add(1)
		}
		f.revision = revision
		cs.won(key, storedClaim{claim, revision}, seen.revision != 0)
		return f, false, h.store.copy(ctx, append(own, d.at(revision)...)...)
	}
	cs.forget(f.nonce)
	h.counts.lost.Add(1)
	held, here := o.Got[len(d.recs)], o.Got[len(d.recs)+1]
	cs.see(held, o.Revision)
	if newer := d.newer(h, o); len(newer) > 0 {
		return nil, false, &refresh.NewerError{Err: refresh.ErrRenewed, Records: h.datable(newer, o.Revision)}
	}
	if here.Created != session.Epoch {
		return nil, false, unconfirmed(ErrUnknown) // the session has ended
	}
	if held.Modified == seen.revision && theirs != nil {
		// The host whose session this host thought to be over has it still, or again.
		h.counts.waited.Add(1)
		return nil, false, &refresh.TakenError{Host: seen.Host}
	}
	return nil, true, nil
}

// abandoned returns what a transaction compares that ends c, because its host's session is over.
// Another machine may have this host's name since.
func (cs *claims) abandoned(c storedClaim) []Compare {
	if c.State != record.Calling {
		return nil
	}
	return []Compare{{Key: presenceKey(cs.host.cfg.Prefix, c.Host), Field: Created, Not: true, Value: c.Epoch}}
}

// wantRecords returns the records that a call for w depends on.
func wantRecords(w refresh.Want) []record.Record {
	recs := []record.Record{{Table: w.Table, Key: w.Name}}
	if w.Table == record.Credentials {
		recs = append(recs, record.Record{Table: record.Holds, Key: w.Name})
	}
	if w.Grant != "" {
		recs = append(recs, record.Record{Table: record.Grants, Key: w.Grant})
	}
	return recs
}

// has reports whether the transaction already depends on the copy of r.
func (d *draft) has(r record.Record) bool {
	for _, other := range d.recs {
		if other.Table == r.Table && other.Key == r.Key {
			return true
		}
	}
	return false
}

func (cs *claims) add(f *flight) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.flights[f.nonce] = f
}

// forget forgets the flight of a nonce: its claim is used no more.
func (cs *claims) forget(nonce string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.flights, nonce)
}

// keep makes the claim of f available to the next poll.
func (cs *claims) keep(f *flight) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	f.kept, f.used = true, cs.host.cfg.Clock.Now()
}

// again takes f, if its claim is kept, and reports whether it was.
func (cs *claims) again(f *flight) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	kept := f.kept
	f.kept = false
	return kept
}

// won notes a claim of this host, unless something newer is known. If it replaces another, the
// engine must not take that for the newest, also if the watch has noted the claim before.
func (cs *claims) won(key string, c storedClaim, replaces bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c.revision < cs.all[key].revision {
		return
	}
	if cs.all[key] = c; replaces {
		r := c.Encode()
		r.Revision = c.revision
		cs.host.queue(r)
	}
}

// note notes what etcd has under a key, unless something newer is known, and tells the engine. cs
// stays locked, so that the engine learns of the newest last, no matter which goroutine notes it.
func (cs *claims) note(key string, c storedClaim) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	before := cs.all[key]
	if c.revision <= before.revision {
		return
	}
	cs.all[key] = c
	if c.State == 0 && before.State == 0 {
		return
	}
	if c.State == 0 {
		c.Name, c.Table = before.Name, before.Table
	}
	if cs.host.offers.kick(); c.Name != "" { // else nobody can read it
		cs.tell(c)
	}
}

// see takes over what etcd had under the key of a claim at a revision. If it had a later one by
// then, etcd was restored from a backup.
func (cs *claims) see(kv KeyValue, revision int64) {
	c := storedClaim{revision: revision}
	if kv.Present() {
		cs.mu.Lock()
		known := cs.all[kv.Key].revision
		cs.mu.Unlock()
		if kv.Modified < known && known <= revision {
			cs.host.mirror.want(whyRestored)
		}
		r, err := cs.host.keys.open(kv)
		if err == nil {
			c.Claim, err = record.DecodeClaim(r)
		}
		switch {
		case err == nil:
		case errors.Is(err, seal.ErrSealed), errors.Is(err, record.ErrCorrupt):
			cs.host.log.Error("a claim in etcd cannot be read: a call may have been made", "error", err)
			c.State = record.Doubtful
		default: // of a newer version
			cs.host.log.Error("a claim in etcd cannot be read: it is ignored", "error", err)
			return
		}
		c.revision = kv.Modified
	}
	cs.note(kv.Key, c)
}

// reached forgets the deletions up to a revision that the watch has reached.
func (cs *claims) reached(revision int64) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for key, c := range cs.all {
		if c.State == 0 && c.revision <= revision {
			delete(cs.all, key)
		}
	}
}

// tell passes on to the engine what a claim means for it. cs is locked.
func (cs *claims) tell(c storedClaim) {
	r := record.Record{Table: record.Claims, Key: c.Name, Revision: c.revision}
	switch {
	case c.State == 0:
	case c.State == record.Calling && c.Host == cs.host.cfg.Host && cs.ours(c):
		return
	case c.State == record.Calling && !cs.inForce(c):
		c.State, c.Tries = record.Doubtful, max(c.Tries, 1)
		fallthrough
	default:
		r = c.Encode()
		r.Revision = c.revision
	}
	cs.host.queue(r)
}

// ours reports whether c belongs to this run's session.
func (cs *claims) ours(c storedClaim) bool {
	session, ok := cs.host.sessions.Current()
	return ok && c.Epoch == session.Epoch
}

// ended takes over the end of a host's session: its claims are in doubt.
func (cs *claims) ended(host string, epoch int64) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, c := range cs.all {
		if c.Host == host && c.Epoch == epoch && c.State == record.Calling {
			cs.tell(c)
		}
	}
}

// reset takes over all claims that etcd has: the watch may have missed a deletion.
func (cs *claims) reset(all []KeyValue, revision int64) {
	present := make(map[string]bool, len(all))
	for _, kv := range all {
		present[kv.Key] = true
		cs.see(kv, kv.Modified)
	}
	cs.mu.Lock()
	var gone []string
	for key, c := range cs.all {
		if !present[key] && c.State != 0 && c.revision <= revision {
			gone = append(gone, key)
			cs.missLocked(key, c)
		}
	}
	cs.mu.Unlock()
	for _, key := range gone {
		cs.see(KeyValue{Key: key}, revision)
	}
}

// forever is until when a call without a claim may last.
const forever = clock.Instant(math.MaxInt64)
