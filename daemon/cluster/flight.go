package cluster

import (
	"context"
	"errors"
	"slices"

	"tokend/daemon/clock"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
)

// flight is the claim of one flight of this host's engine. It implements [refresh.Claim].
type flight struct {
	claims *claims
	want   refresh.Want
	key    string // of the claim
	nonce  string
	epoch  int64

	// revision is that of the transaction that wrote the claim: the fencing token. It is zero for a
	// flight without a claim.
	revision int64

	until clock.Instant // the session lasts at least until then; known before the last call

	tries  int  // how many calls before have ended in doubt
	intent bool // the claim left a hold in case that this host dies

	answer *offer // that is not known to be stored, and must not be lost; nil for none

	// kept: WeChat has repeated the value, and the next poll uses the claim again. Guarded by
	// claims.mu.
	kept bool
	used clock.Instant // when the last call landed, if kept; guarded by claims.mu
}

// Until implements [refresh.Claim].
func (f *flight) Until() clock.Instant {
	if f.revision == 0 {
		return forever
	}
	session, ok := f.claims.host.sessions.Current()
	if !ok || session.Epoch != f.epoch {
		return 0
	}
	f.until = session.Until
	return f.until
}

// Put implements [refresh.Claim].
func (f *flight) Put(ctx context.Context, recs ...record.Record) error {
	if len(recs) == 0 {
		return nil
	}
	h := f.claims.host
	if f.revision == 0 {
		return h.store.Put(ctx, recs...)
	}
	own, recs := h.store.split(recs)
	f.intends(recs)
	return f.commit(ctx, h.store.draft(recs), own)
}

// commit makes the transaction of d while the claim is this flight's, and copies its records and
// own.
func (f *flight) commit(ctx context.Context, d *draft, own []record.Record) error {
	h := f.claims.host
	d.depend(Compare{Key: f.key, Field: Modified, Value: f.revision})
	o, err := h.submit(ctx, d.txn())
	switch {
	case err != nil:
		return unconfirmed(err)
	case o.Held:
		return h.store.copy(ctx, append(own, d.at(o.Revision)...)...)
	case d.applied(h.keys, o):
		return h.store.copy(ctx, append(own, d.stored(h, o)...)...)
	}
	return f.refused(d, o)
}

// intends notes whether recs, which are stored before a call, have a hold that ends with the claim.
func (f *flight) intends(recs []record.Record) {
	f.intent = f.intent || slices.ContainsFunc(recs, func(r record.Record) bool { return r.Table == record.Holds })
}

// depend makes the transaction depend on c, whose key its Else branch gets last.
func (d *draft) depend(c Compare) {
	d.ifs = append(d.ifs, c)
	d.els = append(d.els, Op{Verb: Get, Key: c.Key})
}

// refused returns what a transaction of a flight was refused for, whose Else branch got the claim
// last.
func (f *flight) refused(d *draft, o Outcome) error {
	held := o.Got[len(o.Got)-1]
	f.claims.see(held, o.Revision)
	why := refresh.ErrRenewed
	if held.Modified != f.revision {
		why = refresh.ErrOvertaken
		f.claims.forget(f.nonce)
	}
	return &refresh.NewerError{Err: why, Records: f.claims.host.datable(d.newer(f.claims.host, o), o.Revision)}
}

// Land implements [refresh.Claim].
func (f *flight) Land(ctx context.Context, recs ...record.Record) error {
	h := f.claims.host
	if f.revision == 0 {
		return f.landAlone(ctx, recs)
	}
	own, recs := h.store.split(recs)
	if f.repeats(recs) {
		return f.keep(ctx, own, recs)
	}
	signed, err := h.store.signed(recs, f.nonce)
	if err != nil {
		return err
	}
	p := f.offer(offerLanding, signed)
	p.Repeats = slices.ContainsFunc(own, isValue)
	p.Base = h.store.bases(signed)
	p.GrantBase = h.store.revision(record.Grants, p.Grant)
	if g := p.grant(); f.want.Table == record.Credentials && !slices.ContainsFunc(recs, isCredential) && !p.Repeats && g != nil && g.Live() {
		// The value is not put in force, and nobody knows which one is WeChat's newest.
		f.answer = p
		_ = f.Give(ctx, true) // it is repeated
		return nil
	}
	if p.lasting = f.lasting(p); p.lasting {
		// Whatever happens from here on, the answer is on this host's disk.
		if err := h.offers.journal(ctx, p); err != nil {
			h.log.Error("cannot write an answer before it is stored in etcd", "name", f.want.Name, "error", err)
		}
		f.answer = p
	}
	p.draft = f.landing(p)
	o, err := h.submit(ctx, p.draft.txn())
	if err != nil {
		h.offers.add(p)
		if len(own) > 0 {
			err = errors.Join(err, h.cfg.Local.Put(context.WithoutCancel(ctx), own...))
		}
		return unconfirmed(err)
	}
	if stored, landed := f.claims.landed(p, o); landed {
		f.claims.forget(f.nonce)
		return h.store.copy(ctx, slices.Concat(own, stored, []record.Record{p.deletion()})...)
	}
	err = f.refused(p.draft, o)
	if errors.Is(err, refresh.ErrOvertaken) && p.lasting {
		h.offers.doubt(ctx, p)
	}
	return err
}

// landAlone stores the answer to a call that was made without a claim. If etcd does not confirm it
// and a grant came with it, the grant is on this host's disk, and becomes a further generation: the
// code that has brought it is used up.
func (f *flight) landAlone(ctx context.Context, recs []record.Record) error {
	h := f.claims.host
	err := h.store.Put(ctx, recs...)
	if p := f.offer(offerDoubt, recs); isUnconfirmed(err) && p.grant() != nil {
		if err := h.offers.journal(ctx, p); err != nil {
			h.log.Error("cannot write a grant before it is stored in etcd", "name", f.want.Name, "error", err)
		}
		h.offers.add(p)
	}
	return err
}

func isCredential(r record.Record) bool { return r.Table == record.Credentials }

// lasting reports whether the answer of p must not be lost: WeChat may repeat it to nobody.
func (f *flight) lasting(p *offer) bool { return p.answers() && (f.want.Rotates || p.grant() != nil) }

// landing returns the transaction that lands p.
func (f *flight) landing(p *offer) *draft {
	d := f.claims.landing(p, p.Base, p.Records)
	if hold := (record.Record{Table: record.Holds, Key: f.want.Name}); f.intent && !d.has(hold) {
		d.then = append(d.then, Op{Verb: Delete, Key: f.claims.host.keys.of(hold.Table, hold.Key)})
	}
	return d
}

// repeats reports whether recs have the value that etcd has, of a kind that is polled.
func (f *flight) repeats(recs []record.Record) bool {
	if f.want.Rotates || f.want.Table != record.Credentials {
		return false
	}
	before, after, ok := f.claims.host.store.replaced(recs)
	return ok && before.Value == after.Value
}

// replaced returns the credential among recs, and its copy before. It reports false if either is
// absent or cannot be read.
func (s *Store) replaced(recs []record.Record) (before, after record.Credential, ok bool) {
	i := slices.IndexFunc(recs, isValue)
	if i < 0 {
		return before, after, false
	}
	stored, err := s.Get(record.Credentials, recs[i].Key)
	if err != nil || stored.Value == nil {
		return before, after, false
	}
	before, err = record.DecodeCredential(stored)
	after, err2 := record.DecodeCredential(recs[i])
	return before, after, err == nil && err2 == nil
}

// keep stores an answer that repeats the value, and keeps the claim for the next poll. It is
// stored in etcd only if the value lasts longer than the stored one.
func (f *flight) keep(ctx context.Context, own, recs []record.Record) error {
	h := f.claims.host
	defer f.claims.keep(f)
	if !f.intent && len(recs) == 1 && !prolongs(h.store, recs) {
		return h.store.copy(ctx, append(own, based(h.store, recs)...)...)
	}
	signed, err := h.store.signed(recs, f.nonce)
	if err != nil {
		return err
	}
	d := h.store.draft(signed)
	d.with(h.store, f.want.Grant, h.store.revision(record.Grants, f.want.Grant))
	err = f.commit(ctx, d, own)
	f.intent = f.intent && err != nil
	return err
}

// prolongs reports whether recs have a value that lasts longer than its copy.
func prolongs(s *Store, recs []record.Record) bool {
	before, after, ok := s.replaced(recs)
	return !ok || after.End.Wall.After(before.End.Wall)
}

// Give implements [refresh.Claim]. It makes one attempt; run makes the others. From here on the
// claim is used no more, whatever the outcome.
func (f *flight) Give(ctx context.Context, sent bool) error {
	if f.revision == 0 {
		return nil
	}
	h := f.claims.host
	if f.answer != nil { // other records have changed each time that it was to land
		h.offers.doubt(ctx, f.answer)
	}
	p := f.offer(offerGive, nil)
	p.ID = newNonce() // an answer on the disk has the other
	if p.sent = sent && doubted(f.want); p.sent {
		p.Tries++
		h.counts.doubts.Add(1)
		if err := h.offers.journal(ctx, p); err != nil {
			h.log.Error("cannot write that a call had no answer", "name", p.Name, "error", err)
		}
	}
	p.txn = f.claims.release(f.key, p.claim(h, record.Calling, 0), f.revision, p.Tries, f.deletions())
	p.busy = true
	h.offers.add(p)
	f.claims.forget(f.nonce)
	return h.offers.finish(ctx, p, h.store.copy)
}

// doubted reports whether a call for want that had no answer leaves doubt. WeChat repeats the
// values of some kinds. A code that may still be exchanged has a record of its own.
func doubted(want refresh.Want) bool { return want.Rotates && want.Table == record.Credentials }

// deletions returns what ends with the claim.
func (f *flight) deletions() []record.Record {
	if !f.intent {
		return nil
	}
	return []record.Record{{Table: record.Holds, Key: f.want.Name}}
}

// offer returns an offer about the flight.
func (f *flight) offer(kind offerKind, recs []record.Record) *offer {
	p := newOffer(kind, recs)
	p.Name, p.Table, p.Grant = f.want.Name, f.want.Table, f.want.Grant
	p.Nonce, p.Epoch, p.Revision, p.Tries = f.nonce, f.epoch, f.revision, f.tries
	p.ID, p.key, p.until = f.nonce, f.key, f.until
	return p
}
