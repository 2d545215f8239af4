package cluster

import (
	"context"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/record"
)

// This file is about the end of claims.

// end returns the operation that ends the claim of a landing. A refusal by WeChat leaves the doubt
// behind the claim: only an answer ends it, or that a code cannot be used any more.
func (cs *claims) end(p *offer) Op {
	if p.Tries > 0 && !p.settles() {
		return cs.host.keys.put(p.claim(cs.host, record.Doubtful, p.Tries).Encode())
	}
	return Op{Verb: Delete, Key: p.key}
}

// landing returns the transaction that lands p as recs, which were made of copies of the revisions
// base.
func (cs *claims) landing(p *offer, base []int64, recs []record.Record) *draft {
	d := cs.host.store.draftOn(base, recs)
	d.with(cs.host.store, p.Grant, p.GrantBase)
	d.then = append(d.then, cs.end(p))
	d.depend(Compare{Key: p.key, Field: Modified, Value: p.Revision})
	return d
}

// landed reports whether p has landed, by the outcome of its landing, and returns what is stored
// then. If an earlier attempt was applied, that may be newer than p.
func (cs *claims) landed(p *offer, o Outcome) (stored []record.Record, ok bool) {
	if !o.Held && !p.draft.applied(cs.host.keys, o) {
		return nil, false
	}
	cs.noteLate(p)
	switch {
	case !o.Held:
		cs.see(o.Got[len(o.Got)-1], o.Revision)
		return p.draft.stored(cs.host, o), true
	case p.Tries > 0 && !p.settles():
		cs.note(p.key, storedClaim{p.claim(cs.host, record.Doubtful, p.Tries), o.Revision})
	default:
		cs.see(KeyValue{Key: p.key}, o.Revision)
	}
	return p.draft.at(o.Revision), true
}

// strays returns the claims that nobody uses or ends but this host. One kind is of its own session,
// and none of its flights knows it: its first attempt took effect late, after another attempt was
// used and freed. No peer may take it while the session lasts. The other kind is of a dead host and
// for a code that nobody exchanges again: it was not promised to WeChat, or has ended.
func (cs *claims) strays() map[string]storedClaim {
	h := cs.host
	session, ok := h.sessions.Current()
	if !ok {
		return nil
	}
	strays := cs.unknown()
	for key, c := range strays {
		own := c.Host == h.cfg.Host && c.Epoch == session.Epoch
		switch {
		case own && !h.offers.knows(c.Nonce):
		case !own && c.Table == record.Codes && !cs.inForce(c) && !h.promised(c.Name):
		default:
			delete(strays, key)
		}
	}
	return strays
}

// unknown returns the claims with which calls may be made, but not by a flight of this host.
func (cs *claims) unknown() map[string]storedClaim {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	all := make(map[string]storedClaim)
	for key, c := range cs.all {
		if c.State == record.Calling && cs.flights[c.Nonce] == nil {
			all[key] = c
		}
	}
	return all
}

// promised reports whether there is a record of a code that has not ended, so that some host
// exchanges it again.
func (h *Host) promised(code string) bool {
	r, err := h.store.Get(record.Codes, code)
	return err != nil || r.Value != nil && !h.mirror.obsolete(r)
}

// keptFor is how long a claim that a poller keeps may be unused.
const keptFor = 2 * time.Minute

// unused returns a flight that has kept its claim for too long without a call, nil for none. Nobody
// uses it from then on.
func (cs *claims) unused(now clock.Instant) *flight {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, f := range cs.flights {
		if f.kept && now.Sub(f.used) > keptFor {
			f.kept = false
			return f
		}
	}
	return nil
}

// free releases a claim of this host with which no call was made, and deletes the hold that was
// stored with it. If there was doubt behind it, that is put back.
func (cs *claims) free(ctx context.Context, key string, c storedClaim) {
	var intent []record.Record
	if hold := (record.Record{Table: record.Holds, Key: c.Name}); cs.host.store.revision(hold.Table, hold.Key) == c.revision {
		intent = append(intent, hold)
	}
	o, err := cs.host.submit(ctx, cs.release(key, c.Claim, c.revision, c.Tries, intent))
	if err == nil {
		cs.released(key, o, c.Claim, c.Tries)
	}
}

// release returns the transaction that ends a claim without an answer, and deletes the records of
// deletions with it. With tries, it leaves doubt.
func (cs *claims) release(key string, c record.Claim, revision int64, tries int, deletions []record.Record) Txn {
	k := cs.host.keys
	t := Txn{
		If:   []Compare{{Key: key, Field: Modified, Value: revision}},
		Then: []Op{{Verb: Delete, Key: key}},
		Else: []Op{{Verb: Get, Key: key}},
	}
	if tries > 0 {
		c.State, c.Tries = record.Doubtful, tries
		t.Then[0] = k.put(c.Encode())
	}
	for _, r := range deletions {
		t.Then = append(t.Then, Op{Verb: Delete, Key: k.of(r.Table, r.Key)})
	}
	return t
}

// released takes over the outcome of a release, which left tries.
func (cs *claims) released(key string, o Outcome, c record.Claim, tries int) {
	switch {
	case !o.Held:
		cs.see(o.Got[0], o.Revision)
	case tries == 0:
		cs.see(KeyValue{Key: key}, o.Revision)
	default:
		c.State, c.Tries = record.Doubtful, tries
		cs.note(key, storedClaim{c, o.Revision})
	}
}
