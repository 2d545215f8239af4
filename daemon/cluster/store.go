package cluster

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"tokend/daemon/record"
	"tokend/daemon/refresh"
)

// Local is a host's own store.
type Local interface {
	refresh.Store

	// Copy is Put for what etcd has. It does not wait for the disk, and a power cut may undo the
	// last Copies. A Put without irreplaceable records makes all earlier Copies durable.
	Copy(ctx context.Context, recs ...record.Record) error
}

// Store is the store of a host's engine. Reads are from the host's own store, which has a copy of
// every record that the host needs. A Put is a transaction that compares the revision of each
// record's copy, unless the records concern this host alone. The names of the records are locked by
// the engine, so a copy does not change during its Put.
type Store struct {
	refresh.Store // the host's own
	host          *Host

	// deleted are records whose copy was deleted at a revision that the watch has not reached: an
	// earlier change must not bring them back.
	mu      sync.Mutex
	deleted map[recordID]int64

	copying sync.RWMutex // locked while copies change without their names being locked

	refusals atomic.Int64 // how often the disk has refused records that were followed
}

type recordID struct {
	table record.Table
	key   string
}

// fingerprintKey is the one key that all hosts share.
const fingerprintKey = "fingerprint"

// Put stores recs, or deletes those without a value. The error is one of those of
// [refresh.Claim]'s Put, but for ErrOvertaken, or an [*refresh.ApartError].
func (s *Store) Put(ctx context.Context, recs ...record.Record) error {
	if slices.ContainsFunc(recs, followed) {
		return s.follow(ctx, recs)
	}
	own, shared := s.split(recs)
	if len(shared) == 0 {
		return s.Store.Put(ctx, own...)
	}
	written, err := s.write(ctx, shared)
	if err != nil {
		return s.instead(ctx, own, shared, err)
	}
	return s.copy(ctx, append(own, written...)...)
}

// followed reports whether r was received from etcd.
func followed(r record.Record) bool { return r.Revision != 0 }

// split divides recs into those that concern this host alone and those in etcd. Nothing but
// deletions of what can be fetched again is about this host's copies: a host on which an account
// is not configured must not delete what others use.
func (s *Store) split(recs []record.Record) (own, shared []record.Record) {
	deletions := !slices.ContainsFunc(recs, func(r record.Record) bool { return r.Value != nil || letters[r.Table] == "q" })
	for _, r := range recs {
		copied, redated := s.redated(r)
		switch {
		case redated:
			own = append(own, copied)
		case deletions, letters[r.Table] == "", r.Table == record.Keys && r.Key != fingerprintKey, s.host.cfg.Private(r), s.settled(r, recs):
			own = append(own, r)
		default:
			shared = append(shared, r)
		}
	}
	return own, shared
}

// redated returns r as this host's copy, if it is a value that etcd has, and the times in etcd are
// better: those of r are the wall clock's, or count from when WeChat repeated the value to a host
// that believed it to be over. A comparison with etcd replaces such a copy.
func (s *Store) redated(r record.Record) (copied record.Record, ok bool) {
	if r.Table != record.Credentials || r.Value == nil {
		return r, false
	}
	copied, err := s.Get(r.Table, r.Key)
	if err != nil || copied.Value == nil || copied.Revision == 0 {
		return r, false
	}
	ours, err := record.DecodeCredential(r)
	stored, err2 := record.DecodeCredential(copied)
	if err != nil || err2 != nil || stored.Value != ours.Value {
		return r, false
	}
	if !ours.Walled && !stored.Walled && ours.Boot == stored.Boot && ours.Issued.Since <= stored.Issued.Since {
		return r, false // it continues the copy
	}
	ours.Walled = true
	r = ours.Encode()
	r.Revision = copied.Revision
	return r, true
}

// settled reports whether r deletes a code that was exchanged, possibly with others of recs. The
// record of what it was exchanged for stays in the code's place in etcd.
func (s *Store) settled(r record.Record, recs []record.Record) bool {
	if r.Table != record.Codes || r.Value != nil {
		return false
	}
	if slices.ContainsFunc(recs, func(o record.Record) bool { return o.Table == record.Exchanged && o.Key == r.Key }) {
		return true
	}
	spent, err := s.Get(record.Exchanged, r.Key)
	return err == nil && spent.Value != nil
}

// instead does what can be done when etcd has not confirmed recs: pushed tickets and accepted codes
// are stored on this host and offered. Nothing of an import with grants is.
func (s *Store) instead(ctx context.Context, own, recs []record.Record, err error) error {
	grants := slices.ContainsFunc(recs, func(r record.Record) bool { return r.Table == record.Grants && r.Value != nil })
	if !isUnconfirmed(err) || grants || !slices.ContainsFunc(recs, offered) {
		return err
	}
	o := newOffer(offerPut, recs)
	err = s.copy(ctx, slices.Concat(own, based(s, recs), []record.Record{o.encode()})...)
	s.host.offers.add(o) // a code without a copy is not offered any more
	return err
}

// based returns recs with the revisions of their copies: they are changes that etcd does not have.
func based(s *Store, recs []record.Record) []record.Record {
	recs = slices.Clone(recs)
	for i := range recs {
		recs[i].Revision = s.revision(recs[i].Table, recs[i].Key)
	}
	return recs
}

// offered reports whether nobody repeats r: WeChat does not push it again once it was acknowledged.
func offered(r record.Record) bool {
	switch r.Table {
	case record.Codes:
		return r.Value != nil
	case record.Credentials:
		c, err := record.DecodeCredential(r)
		return err == nil && !c.Stamp.IsZero()
	}
	return false
}

// copy writes to the host's own store what etcd has.
func (s *Store) copy(ctx context.Context, recs ...record.Record) error {
	s.copying.RLock()
	defer s.copying.RUnlock()
	return s.Store.Put(context.WithoutCancel(ctx), s.prepare(recs)...)
}

// follow writes records from etcd that are not older than the copies. A record that a power cut
// takes is read again: the position of the mirror is stored after a Put.
func (s *Store) follow(ctx context.Context, recs []record.Record) error {
	fresh := make([]record.Record, 0, len(recs))
	for _, r := range recs {
		if r.Revision >= s.newest(r.Table, r.Key) && !s.keeps(r) {
			fresh = append(fresh, r)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	s.copying.RLock()
	defer s.copying.RUnlock()
	err := s.host.cfg.Local.Copy(context.WithoutCancel(ctx), s.prepare(fresh)...)
	if err != nil {
		s.refusals.Add(1)
	}
	return err
}

// refused returns how often the disk has refused records of other hosts. The engine has them in
// memory, until a restart.
func (s *Store) refused() int64 { return s.refusals.Load() }

// prepare notes the deletions among recs. A code and what it was exchanged for replace each other:
// they have one key in etcd.
func (s *Store) prepare(recs []record.Record) []record.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range recs {
		switch {
		case r.Revision == 0:
		case r.Value == nil:
			s.deleted[recordID{r.Table, r.Key}] = r.Revision
		default:
			delete(s.deleted, recordID{r.Table, r.Key})
			switch r.Table {
			case record.Exchanged:
				recs = append(recs, record.Record{Table: record.Codes, Key: r.Key})
			case record.Codes: // etcd has it again after a restore
				recs = append(recs, record.Record{Table: record.Exchanged, Key: r.Key})
			}
		}
	}
	return recs
}

// reached forgets the deletions up to a revision that the watch has reached.
func (s *Store) reached(revision int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, at := range s.deleted {
		if at <= revision {
			delete(s.deleted, id)
		}
	}
}

// revision returns the revision of a copy: what etcd must still have when the record is changed.
// Zero: the record is absent. A copy that cannot be read counts as absent, too: if etcd has the
// record, it refuses the change, and what it has is copied again.
func (s *Store) revision(table record.Table, key string) int64 {
	r, _ := copyOf(s.Store, table, key)
	return r.Revision
}

// newest returns the last revision of a record, a deletion included, that this host knows.
func (s *Store) newest(table record.Table, key string) int64 {
	s.mu.Lock()
	gone := s.deleted[recordID{table, key}]
	s.mu.Unlock()
	return max(gone, s.revision(table, key))
}

// signed returns recs as they are stored in etcd: a credential says which host's call it came with,
// a grant counts its changes.
func (s *Store) signed(recs []record.Record, call string) ([]record.Record, error) {
	recs = slices.Clone(recs)
	for i, r := range recs {
		switch {
		case r.Value == nil:
		case r.Table == record.Credentials:
			c, err := record.DecodeCredential(r)
			if err != nil {
				return nil, err
			}
			c.By, c.Call = s.host.cfg.Host, call
			recs[i] = c.Encode()
		case r.Table == record.Grants:
			g, err := record.DecodeGrant(r)
			if err != nil {
				return nil, err
			}
			g.Number = max(g.Number, s.number(r.Key)) + 1
			recs[i] = g.Encode()
		}
	}
	return recs, nil
}

// number returns the number of the copy of a grant.
func (s *Store) number(name string) uint64 {
	g, _ := s.grant(name) // a copy that cannot be read has none
	return g.Number
}

// grant returns the copy of a grant.
func (s *Store) grant(name string) (record.Grant, error) {
	r, err := s.Get(record.Grants, name)
	if err != nil || r.Value == nil {
		return record.Grant{Name: name}, err
	}
	return record.DecodeGrant(r)
}

// write makes a transaction that stores recs if their copies are current, and repeats it until the
// outcome is known. It returns recs as they are stored. The error is a [*refresh.NewerError],
// [refresh.ErrUnconfirmed] or an [*refresh.ApartError].
func (s *Store) write(ctx context.Context, recs []record.Record) ([]record.Record, error) {
	call := newNonce()
	recs, err := s.signed(recs, call)
	if err != nil {
		return nil, err
	}
	d := s.draft(recs)
	for _, r := range recs {
		if isValue(r) {
			g := s.host.cfg.Grant(r.Key)
			d.with(s, g, s.revision(record.Grants, g))
		}
	}
	o, err := s.host.submit(ctx, d.txn())
	switch {
	case err != nil:
		return nil, unconfirmed(err)
	case o.Held:
		return d.at(o.Revision), nil
	}
	if d.applied(s.host.keys, o) {
		return d.stored(s.host, o), nil
	}
	return nil, &refresh.NewerError{Err: refresh.ErrRenewed, Records: s.host.datable(d.newer(s.host, o), o.Revision)}
}
