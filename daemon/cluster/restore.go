package cluster

import (
	"context"
	"maps"
	"time"

	"tokend/daemon/clock"
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
	for key, c := range cs.late {
		cs.missing[key] = c.storedClaim
	}
	clear(cs.late)
}

// lateClaim is a claim whose answer has landed at an instant when its host's session may have been
// over. A peer may have taken the claim over and called before etcd was restored, which brought the
// claim back. Nobody can tell then which of the two values is WeChat's newest.
type lateClaim struct {
	storedClaim
	landed clock.Instant
}

// noteLate notes that p has landed, if that was late. It leaves doubt if etcd was restored. Else
// this host may learn that within [sameRestore] of contact with etcd.
func (cs *claims) noteLate(p *offer) {
	h := cs.host
	now := h.cfg.Clock.Now()
	if p.Table != record.Credentials || !p.lasting || now <= p.until {
		return
	}
	c := storedClaim{Claim: p.claim(h, record.Calling, p.Tries)}
	if h.mirror.restoredLately() {
		h.offers.doubt(context.Background(), c.doubt(p.key))
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	contact := h.beats.contact()
	maps.DeleteFunc(cs.late, func(_ string, c lateClaim) bool { return contact.Sub(c.landed) > sameRestore })
	cs.late[p.key] = lateClaim{c, now}
}

// restoredLately reports whether a restore was noticed since a call began that has just landed.
func (m *mirror) restoredLately() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revived || m.restoredLatelyLocked()
}

// doubt returns an offer that leaves doubt about c, which is under key.
func (c *storedClaim) doubt(key string) *offer {
	p := newOffer(offerDoubt, nil)
	p.key, p.Name, p.Table, p.Nonce, p.Epoch, p.Tries = key, c.Name, c.Table, c.Nonce, c.Epoch, c.Tries
	return p
}

// missLocked notes c, which a backup may lack. This host's own flights find out by themselves, but
// not that the doubt is gone that they have taken over: they may make no call. mu is held.
func (cs *claims) missLocked(key string, c storedClaim) {
	if c.State != 0 && c.Table == record.Credentials && !c.Repeats && (cs.flights[c.Nonce] == nil || c.Tries > 0) {
		cs.missing[key] = c
	}
}

// keeps reports whether c, which etcd has after a restore, also stands for the call of was, which
// it had before. A claim without doubt behind it does not: its flight may make no call.
func (c *storedClaim) keeps(was storedClaim) bool {
	return c.State == record.Doubtful || c.State == record.Calling &&
		(c.Tries > 0 || c.Nonce == was.Nonce && was.State == record.Calling)
}

// compared leaves doubt again if etcd was restored and lacks a doubt, or the claim of a host that
// may be dead. If it was not, the watch has missed the end of the claim.
func (cs *claims) compared(restored bool) {
	cs.mu.Lock()
	missing := cs.missing
	cs.missing = make(map[string]storedClaim)
	for key, was := range missing {
		if now := cs.all[key]; !restored || now.keeps(was) {
			delete(missing, key)
		}
	}
	cs.mu.Unlock()
	for key, c := range missing {
		cs.host.offers.doubt(context.Background(), c.doubt(key))
	}
}
