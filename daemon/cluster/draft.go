package cluster

import (
	"bytes"
	"slices"

	"tokend/daemon/record"
)

// draft is a transaction about records. The Else branch gets each of them.
type draft struct {
	ifs     []Compare
	then    []Op
	els     []Op
	recs    []record.Record // that the first of els get
	base    []int64         // the revisions of their copies
	changed int             // how many of recs the first of then change
	grants  []record.Grant  // the copies of those of recs that are grants, as they were
}

// draft returns the transaction that stores recs if their copies are current.
func (s *Store) draft(recs []record.Record) *draft { return s.draftOn(s.bases(recs), recs) }

// bases returns the revisions of the copies of recs.
func (s *Store) bases(recs []record.Record) []int64 {
	base := make([]int64, len(recs))
	for i, r := range recs {
		base[i] = s.revision(r.Table, r.Key)
	}
	return base
}

// draftOn returns the transaction that stores recs, if etcd has them at the revisions base, of
// which they were made.
func (s *Store) draftOn(base []int64, recs []record.Record) *draft {
	d := &draft{}
	for i, r := range recs {
		d.expect(s, r, base[i])
		d.then = append(d.then, s.host.keys.change(r))
		if r.Table == record.Grants {
			g, _ := s.grant(r.Key) // a copy that cannot be read knows nothing
			d.grants = append(d.grants, g)
		}
	}
	d.changed = len(recs)
	return d
}

// expect makes the transaction depend on r being at the revision base.
func (d *draft) expect(s *Store, r record.Record, base int64) {
	key := s.host.keys.of(r.Table, r.Key)
	d.ifs = append(d.ifs, Compare{Key: key, Field: Modified, Value: base})
	d.recs, d.base = append(d.recs, r), append(d.base, base)
	d.els = append(d.els, Op{Verb: Get, Key: key})
}

// with makes the transaction depend on the grant that a credential among its records was fetched
// with, or refused with, which has the revision base. Another grant may be of a later
// authorization. Then the customer has withdrawn the one before, and with it the credential.
func (d *draft) with(s *Store, grant string, base int64) {
	if r := (record.Record{Table: record.Grants, Key: grant}); grant != "" && !d.has(r) && slices.ContainsFunc(d.recs, byGrant) {
		d.expect(s, r, base)
	}
}

// byGrant reports whether r is what WeChat may have answered to a call with a grant: a credential,
// or the hold that a refusal calls for.
func byGrant(r record.Record) bool {
	return r.Value != nil && (r.Table == record.Credentials || r.Table == record.Holds)
}

// isValue reports whether r is a credential, not its deletion.
func isValue(r record.Record) bool { return r.Table == record.Credentials && r.Value != nil }

func (d *draft) txn() Txn { return Txn{If: d.ifs, Then: d.then, Else: d.els} }

// at returns the records that the transaction has changed, which was applied at a revision.
func (d *draft) at(revision int64) []record.Record {
	recs := slices.Clone(d.recs[:d.changed])
	for i := range recs {
		recs[i].Revision = revision
	}
	return recs
}

// applied reports whether o shows that an earlier attempt of the transaction was applied: nobody
// else can have sealed the same bytes. If the record has been changed since, a grant still knows
// its earlier values, but what is stored is newer than the change. After a restart the bytes
// differ, and the call identifies them.
func (d *draft) applied(k *keys, o Outcome) bool {
	for i, r := range d.recs[:min(d.changed, len(o.Got))] {
		if got := o.Got[i]; got.Present() && r.Value != nil && (bytes.Equal(got.Value, d.then[i].Value) || d.contained(k, got, r)) {
			return true
		}
	}
	return false
}

// contained reports whether a stored record contains r: a credential the value of the same call, a
// grant all that r adds to its copy.
func (d *draft) contained(k *keys, kv KeyValue, r record.Record) bool {
	stored, err := k.open(kv)
	if err != nil || stored.Table != r.Table {
		return false
	}
	switch r.Table {
	case record.Credentials:
		c, err := record.DecodeCredential(stored)
		ours, err2 := record.DecodeCredential(r)
		return err == nil && err2 == nil && c.Call == ours.Call && c.Value == ours.Value
	case record.Grants:
		g, err := record.DecodeGrant(stored)
		ours, err2 := record.DecodeGrant(r)
		i := slices.IndexFunc(d.grants, func(g record.Grant) bool { return g.Name == r.Key })
		return err == nil && err2 == nil && i >= 0 && adopts(&g, &d.grants[i], &ours)
	}
	return false
}

// adopts reports whether stored has what the change of before to after is about: new generations,
// or else a revocation. WeChat may repeat a value to another host, at another time.
func adopts(stored, before, after *record.Grant) bool {
	changed := !after.Revoked.Equal(before.Revoked)
	for _, x := range after.All() {
		if x.Value == "" || before.Knows(x.Value) {
			continue
		}
		if !slices.ContainsFunc(stored.All(), func(s record.Generation) bool { return s.Value == x.Value && s.At.Equal(x.At) }) {
			return false
		}
		changed = true
	}
	return changed && after.Revoked.Equal(stored.Revoked)
}

// stored returns what is to be copied, if o shows that an earlier attempt of the transaction was
// applied. Grants that have changed since are not: an engine follows them, and compares them with
// the copies.
func (d *draft) stored(h *Host, o Outcome) []record.Record {
	return slices.DeleteFunc(h.datable(d.newer(h, o), o.Revision), func(r record.Record) bool {
		return r.Table == record.Grants && !slices.ContainsFunc(d.recs[:d.changed], func(own record.Record) bool {
			return own.Table == r.Table && own.Key == r.Key && bytes.Equal(own.Value, r.Value)
		})
	})
}

// newer returns those of the records that o shows to be others than their copies. If a copy is of a
// later revision, etcd was restored from a backup.
func (d *draft) newer(h *Host, o Outcome) (recs []record.Record) {
	for i, got := range o.Got[:min(len(o.Got), len(d.recs))] {
		switch {
		case got.Modified == d.base[i]:
			continue
		case got.Present() && got.Modified < d.base[i]:
			h.mirror.want(whyRestored)
		}
		r := record.Record{Table: d.recs[i].Table, Key: d.recs[i].Key, Revision: o.Revision}
		if got.Present() {
			var err error
			if r, err = h.keys.open(got); err != nil {
				h.log.Error("a record in etcd cannot be opened: it is ignored", "error", err)
				continue
			}
		}
		recs = append(recs, r)
	}
	return recs
}
