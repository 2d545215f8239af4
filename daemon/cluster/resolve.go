package cluster

import (
	"bytes"
	"context"
	"slices"

	"tokend/daemon/record"
)

// give ends a claim without an answer.
func (o *offers) give(ctx context.Context, p *offer, take copier) error {
	h := o.host
	out, err := h.txn(ctx, p.txn)
	if err != nil {
		return err
	}
	if !out.Held {
		got := out.Got[0]
		done := !p.sent && got.Modified != p.Revision ||
			bytes.Equal(got.Value, p.txn.Then[0].Value) // an earlier attempt was applied
		h.claims.see(got, out.Revision)
		if seen, _ := h.claims.look(p.key); !done && seen.State != record.Doubtful {
			// Another host has called since, and this host's call may have been the later one.
			o.doubt(ctx, p)
			return nil
		}
		o.given(ctx, p)
		return nil
	}
	h.claims.released(p.key, out, p.claim(h, record.Calling, p.Tries), p.Tries)
	o.given(ctx, p)
	for _, op := range p.txn.Then[1:] {
		if op.Verb == Delete {
			return take(ctx, record.Record{Table: record.Holds, Key: p.Name, Revision: out.Revision})
		}
	}
	return nil
}

// given ends p, a release: there is doubt in etcd, or none is due.
func (o *offers) given(ctx context.Context, p *offer) {
	if p.sent { // it is on the disk
		o.over(ctx, p)
	} else {
		o.remove(p)
	}
}

// land stores an answer whose landing had no answer.
func (o *offers) land(ctx context.Context, p *offer, take copier) error {
	h := o.host
	if p.draft == nil {
		p.draft = h.claims.landing(p, p.Base, p.Records)
	}
	d := p.draft
	out, err := h.txn(ctx, d.txn())
	if err != nil {
		return err
	}
	if stored, landed := h.claims.landed(p, out); landed {
		h.claims.forget(p.Nonce)
		o.over(ctx, p)
		return take(ctx, stored...)
	}
	held := out.Got[len(out.Got)-1]
	h.claims.see(held, out.Revision)
	if held.Modified != p.Revision {
		h.claims.forget(p.Nonce)
		if p.lasting {
			o.doubt(ctx, p)
		} else {
			o.remove(p) // WeChat has repeated it to the other host
		}
		return take(ctx, h.datable(d.newer(h, out), out.Revision)...)
	}
	// A grant was given during the call, or a value was fetched without a claim.
	if err := take(ctx, h.datable(d.newer(h, out), out.Revision)...); err != nil {
		return err
	}
	base, recs := h.store.merged(p.Base, p.Records)
	if h.store.regranted(p, recs) {
		base, recs = withoutAnswer(base, recs)
	}
	without := slices.ContainsFunc(p.Records, isValue) && !slices.ContainsFunc(recs, isValue)
	if without && !p.dropped && p.lasting {
		if p.dropped = true; p.Table == record.Credentials {
			p.Tries++
			h.counts.doubts.Add(1)
		} else {
			o.suspect(ctx, p)
		}
	}
	p.draft = h.claims.landing(p, base, recs)
	return nil
}

// suspect leaves doubt about the token that came with p, the answer to a code, and is not put in
// force: it may be WeChat's newest.
func (o *offers) suspect(ctx context.Context, p *offer) {
	came := p.grant()
	if came == nil {
		return
	}
	if g, err := o.host.store.grant(came.Name); err == nil && !g.Live() {
		return // the token is dead
	}
	for _, r := range p.Records {
		if isValue(r) {
			c := storedClaim{Claim: record.Claim{Name: r.Key, Table: r.Table, Nonce: newNonce(), Epoch: p.Epoch}}
			o.doubt(ctx, c.doubt(o.host.keys.of(record.Claims, r.Key)))
		}
	}
}

// regranted reports whether the grant that p's value was fetched with is no longer in force when p
// lands as recs. The exchange of a code brings a value and its own grant.
func (s *Store) regranted(p *offer, recs []record.Record) bool {
	came := p.grant()
	if p.Table == record.Credentials || came == nil {
		return s.revision(record.Grants, p.Grant) != p.GrantBase
	}
	now := grantIn(recs)
	if now == nil { // etcd knows what came
		g, _ := s.grant(came.Name) // a copy that cannot be read is of none
		now = &g
	}
	return !now.Live() || now.Value != came.Value
}

// merged returns recs, an answer that was made of copies of the revisions base, as changes of the
// present copies, and the revisions of those. A revision is read before its copy: if the copy
// changes in between, the landing is refused.
func (s *Store) merged(base []int64, recs []record.Record) (now []int64, all []record.Record) {
	for i, r := range recs {
		at := s.revision(r.Table, r.Key)
		kept, ok := r, at == base[i]
		if !ok && r.Table == record.Grants && r.Value != nil {
			kept, ok = s.shelved(r)
		}
		if ok {
			now, all = append(now, at), append(all, kept)
		}
	}
	return now, all
}

// withoutAnswer returns those of recs that do not depend on a grant, and the revisions of their
// copies.
func withoutAnswer(base []int64, recs []record.Record) (at []int64, others []record.Record) {
	for i, r := range recs {
		if !byGrant(r) {
			at, others = append(at, base[i]), append(others, r)
		}
	}
	return at, others
}

// shelved returns the stored grant with the newest generations of r, usually as earlier ones, to be
// tried if WeChat refuses the current one. The second newest came with the answer if another host
// had stored a grant during the call. It reports false if the grant knows both.
func (s *Store) shelved(r record.Record) (record.Record, bool) {
	ours, err := record.DecodeGrant(r)
	if err != nil {
		return r, false
	}
	further := []record.Grant{ours}
	if len(ours.Earlier) > 0 {
		further = append(further, record.Grant{Generation: ours.Earlier[0], Revoked: ours.Revoked})
	}
	g, err := s.grant(r.Key)
	if err != nil {
		s.host.log.Error("a grant cannot be read: another is put in its place", "name", r.Key, "error", err)
		g = record.Grant{Name: r.Key}
	}
	news := false
	for _, x := range further {
		news = g.Merge(&x) || news
	}
	if !news {
		return r, false
	}
	g.Number++
	return g.Encode(), true
}

// leave puts doubt, and the grant that could not land, in etcd when the claim is free.
func (o *offers) leave(ctx context.Context, p *offer, take copier) error {
	h := o.host
	seen, own := h.claims.look(p.key)
	ended := seen.Host == h.cfg.Host && seen.Nonce == p.Nonce // p's own claim, which a restore may bring back
	if own != nil || !ended && h.claims.inForce(seen) {
		return nil // the call that is being made may have been begun before p's
	}
	var further []record.Record
	var base []int64
	for _, r := range p.Records {
		if r.Table != record.Grants || r.Value == nil {
			continue
		}
		at := h.store.revision(r.Table, r.Key) // before the copy is read: see merged
		if r, ok := h.store.shelved(r); ok {
			further, base = append(further, r), append(base, at)
		}
	}
	d := h.store.draftOn(base, further)
	if !ended {
		d.ifs = append(d.ifs, h.claims.abandoned(seen)...)
	}
	d.depend(Compare{Key: p.key, Field: Modified, Value: seen.revision})
	after := p.claim(h, record.Doubtful, max(p.Tries, seen.Tries, 1))
	doubts := (seen.State != record.Doubtful || seen.Name == "") && p.Table == record.Credentials // else there is doubt enough, or none
	if doubts {
		d.then = append(d.then, h.keys.put(after.Encode()))
	}
	out, err := h.txn(ctx, d.txn())
	if err != nil {
		return err
	}
	if !out.Held {
		h.claims.see(out.Got[len(out.Got)-1], out.Revision)
		return take(ctx, h.datable(d.newer(h, out), out.Revision)...)
	}
	if doubts {
		h.claims.note(p.key, storedClaim{after, out.Revision})
	}
	err = take(ctx, d.at(out.Revision)...)
	if p.Table == record.Codes {
		o.suspect(ctx, p)
	}
	o.over(ctx, p)
	return err
}

// over ends p: etcd has what it offers, or does not need it.
func (o *offers) over(ctx context.Context, p *offer) {
	o.remove(p)
	if err := o.host.cfg.Local.Put(ctx, p.deletion()); err != nil {
		o.host.log.Error("cannot delete an offer that is over: it is offered again", "error", err)
	}
}

// put stores a pushed ticket or an accepted code, unless a newer ticket is known, or etcd has the
// code.
func (o *offers) put(ctx context.Context, p *offer, take copier) error {
	h := o.host
	recs, err := h.store.signed(p.Records, p.ID)
	if err != nil { // of a newer version; it stays on the disk
		h.log.Error("an offer cannot be read", "error", err)
		o.remove(p)
		return nil
	}
	d := h.store.draft(recs)
	if h.store.surpasses(recs) { // what etcd has, or had, is newer
		o.over(ctx, p)
		return nil
	}
	for range 2 {
		out, err := h.txn(ctx, d.txn())
		if err != nil {
			return err
		}
		if out.Held {
			o.over(ctx, p)
			return take(ctx, d.at(out.Revision)...)
		}
		newer := d.newer(h, out)
		if slices.ContainsFunc(newer, func(r record.Record) bool { return outranks(r, recs) }) || len(newer) == 0 {
			o.over(ctx, p)
			return take(ctx, h.datable(newer, out.Revision)...)
		}
		for i, got := range out.Got {
			d.base[i], d.ifs[i].Value = got.Modified, got.Modified
		}
	}
	return nil
}

// surpasses reports whether the copy of one of recs is a later ticket, or a code among them has no
// copy any more: another host has exchanged it, or found out that it is used up.
func (s *Store) surpasses(recs []record.Record) bool {
	return slices.ContainsFunc(recs, func(r record.Record) bool {
		if r.Table == record.Codes {
			code, err := s.Get(record.Codes, r.Key)
			return err == nil && code.Value == nil
		}
		if r.Table != record.Credentials {
			return false
		}
		copied, err := s.Get(r.Table, r.Key)
		if err != nil || copied.Value == nil {
			return false
		}
		ours, err := record.DecodeCredential(r)
		theirs, err2 := record.DecodeCredential(copied)
		return err == nil && err2 == nil && theirs.Stamp.After(ours.Stamp)
	})
}

// outranks reports whether r, which etcd has, stays in place of the one among recs with its key.
func outranks(r record.Record, recs []record.Record) bool {
	if r.Value == nil {
		return false
	}
	if r.Table != record.Credentials {
		return true // the same code
	}
	theirs, err := record.DecodeCredential(r)
	if err != nil {
		return false
	}
	for _, own := range recs {
		if own.Table == r.Table && own.Key == r.Key {
			ours, err := record.DecodeCredential(own)
			return err != nil || !ours.Stamp.After(theirs.Stamp)
		}
	}
	return false
}
