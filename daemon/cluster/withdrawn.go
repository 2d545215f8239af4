package cluster

import (
	"maps"
	"slices"

	"tokend/daemon/record"
)

// A withdrawal deletes the values of an authorization, and a restore of etcd brings them back. Then
// a host that has seen the withdrawal lacks what etcd has, and its grant has a higher number.

// withdrawals are what a comparison after a restore knows of withdrawn authorizations, by the name
// of the grant.
type withdrawals struct {
	lacked    map[string][]record.Record // values of etcd without a copy, whose grant comes later
	overtaken map[string]bool            // grants of which etcd has a newer one than this host had
}

// suspends reports whether a value of etcd waits for the comparison of its grant.
func (c *comparison) suspends(theirs record.Record) bool {
	if !c.restored || !c.misses(theirs) {
		return false
	}
	grant := c.grant(theirs.Key)
	c.lacked[grant] = append(c.lacked[grant], theirs)
	return true
}

// mayBeRevived reports whether theirs, which was read at a revision, may be a value that was
// deleted before etcd was restored: not everything was compared since the restore and the read.
func (m *mirror) mayBeRevived(theirs record.Record, at int64) bool {
	return (m.revives() || at < m.cleared.Load()) && m.misses(theirs)
}

// revives reports whether this host has not compared everything since it noticed a restore.
func (m *mirror) revives() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revived
}

// misses reports whether this host has no copy of a value of etcd, but one of its grant.
func (m *mirror) misses(theirs record.Record) bool {
	if theirs.Table != record.Credentials {
		return false
	}
	grant := m.grant(theirs.Key)
	if grant == "" {
		return false
	}
	ours, err := m.local.Get(record.Credentials, theirs.Key)
	if err != nil || ours.Value != nil {
		return false
	}
	g, err := m.local.Get(record.Grants, grant)
	return err == nil && g.Value != nil
}

// compareNumbers decides about the values that have waited for a grant: etcd's older grant has
// brought those that this host lacks. They are deleted before the newer grant is put back, so no
// host finds them with it.
func (c *comparison) compareNumbers(ours, theirs record.Record) {
	if !c.restored || theirs.Table != record.Grants || ours.Value == nil {
		return
	}
	name := theirs.Key
	lacked := c.lacked[name]
	delete(c.lacked, name)
	o, err := record.DecodeGrant(ours)
	t, err2 := record.DecodeGrant(theirs)
	if err != nil || err2 != nil || o.Number <= t.Number {
		if err == nil && err2 == nil && o.Number < t.Number {
			c.overtaken[name] = true
		}
		c.newer = append(c.newer, lacked...)
		return
	}
	for _, r := range lacked {
		c.back = append(c.back, repair{record.Record{Table: r.Table, Key: r.Key}, r.Revision, ""})
	}
}

// release takes over the values whose grant etcd does not have.
func (c *comparison) release() {
	for _, name := range slices.Sorted(maps.Keys(c.lacked)) {
		c.newer = append(c.newer, c.lacked[name]...)
	}
	clear(c.lacked)
}
