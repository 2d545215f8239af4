package cluster

import (
	"context"
	"time"

	"tokend/daemon/record"
)

// After a restore of etcd from a backup, revisions begin again at a lower one. Those that a host
// knows would make everything that etcd has look old.

// restored forgets the revisions of deletions.
func (s *Store) restored() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.deleted)
}

// rebased is a copy as it was read, and the revision of which it is to count as a copy. Zero: etcd
// does not have the record.
type rebased struct {
	record.Record
	to int64
}

// rebase makes copies count as copies of other revisions, unless they are copies of another by now.
func (s *Store) rebase(ctx context.Context, all ...rebased) error {
	s.copying.Lock()
	defer s.copying.Unlock()
	var recs []record.Record
	for _, r := range all {
		if now, err := s.Get(r.Table, r.Key); err == nil && now.Value != nil && now.Revision == r.Revision {
			now.Revision = r.to
			recs = append(recs, now)
		}
	}
	if len(recs) == 0 {
		return nil
	}
	return s.Store.Put(ctx, recs...)
}

// keeps reports whether a copy must not be replaced by what etcd has: etcd has lost a grant or a
// ticket, or has an older one. The mirror puts the copy back.
func (s *Store) keeps(r record.Record) bool {
	if r.Table != record.Grants && r.Table != record.Credentials {
		return false
	}
	ours, err := s.Get(r.Table, r.Key)
	if err != nil || ours.Value == nil {
		return false
	}
	switch {
	case r.Table == record.Credentials:
		if !laterTicket(ours, r) {
			return false
		}
	case r.Value != nil:
		if v := judgeGrant(ours, r, false).verdict; v == alike || v == takeOver {
			return false
		}
	}
	s.host.mirror.suspect()
	return true
}

// futureStamp is from when on a stamp may be in the future for a host: an older ticket replaces it
// then.
const futureStamp = 10 * time.Minute

// laterTicket reports whether ours is a ticket that no host replaces by theirs.
func laterTicket(ours, theirs record.Record) bool {
	if theirs.Value == nil {
		return false
	}
	o, err := record.DecodeCredential(ours)
	t, err2 := record.DecodeCredential(theirs)
	if err != nil || err2 != nil || o.Stamp.IsZero() || t.Stamp.IsZero() {
		return false
	}
	ahead := o.Stamp.Truncate(time.Second).Sub(t.Stamp.Truncate(time.Second)) // as engines compare them
	return ahead > 0 && ahead < futureStamp
}

// restored forgets the revisions of all claims, so that a reset takes over those that etcd has.
func (cs *claims) restored() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for key, c := range cs.all {
		cs.missLocked(key, c)
		c.revision = 0
		cs.all[key] = c
	}
}

// missLocked notes c, which a backup may lack. This host's own flights find out by themselves. mu
// is held.
func (cs *claims) missLocked(key string, c storedClaim) {
	if c.State != 0 && c.Table == record.Credentials && !c.Repeats && cs.flights[c.Nonce] == nil {
		cs.missing[key] = c
	}
}

// compared leaves doubt again if etcd was restored and lacks a doubt, or the claim of a host that
// may be dead. If it was not, the watch has missed the end of the claim.
func (cs *claims) compared(restored bool) {
	cs.mu.Lock()
	missing := cs.missing
	cs.missing = make(map[string]storedClaim)
	for key := range missing {
		if cs.all[key].State != 0 || !restored {
			delete(missing, key)
		}
	}
	cs.mu.Unlock()
	for key, c := range missing {
		p := newOffer(offerDoubt, nil)
		p.key, p.Name, p.Table, p.Nonce, p.Epoch, p.Tries = key, c.Name, c.Table, c.Nonce, c.Epoch, c.Tries
		cs.host.offers.doubt(context.Background(), p)
	}
}
