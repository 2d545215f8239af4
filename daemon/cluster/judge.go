package cluster

import (
	"bytes"
	"time"

	"tokend/daemon/record"
)

// verdict is which of two records of a name counts: this host's copy or etcd's.
type verdict uint8

const (
	alike    verdict = iota // they are the same, or it does not matter
	takeOver                // etcd's is the newer one
	putBack                 // this host's is the newer one
	keepBoth                // neither is
)

// judgment is a verdict and what it says about etcd.
type judgment struct {
	verdict

	// merged is what both are kept in, if the verdict is keepBoth.
	merged record.Record

	// alarm reports that etcd has lost what it had.
	alarm bool
}

// judge compares a copy with etcd's record by their content. The copy may be absent. restored
// reports that revisions of before say nothing.
func (m *mirror) judge(ours, theirs record.Record, restored bool) judgment {
	switch {
	case ours.Value == nil:
		return judgment{verdict: takeOver}
	case theirs.Table == record.Grants:
		return judgeGrant(ours, theirs, restored)
	case !restored && ours.Revision == theirs.Revision && ours.Table == theirs.Table:
		if m.misdated(ours) {
			return judgment{verdict: takeOver}
		}
		return judgment{}
	case theirs.Table == record.Credentials:
		return m.judgeCredential(ours, theirs, restored)
	case theirs.Table == record.Codes && ours.Table == record.Exchanged:
		if restored && !m.obsolete(ours) {
			return judgment{verdict: putBack, alarm: true}
		}
	case theirs.Table == record.Budgets:
		if restored && m.laterCall(ours, theirs) {
			return judgment{verdict: putBack}
		}
	case theirs.Table == record.Keys:
		if bytes.Equal(ours.Value, theirs.Value) {
			return judgment{}
		}
	}
	return judgment{verdict: takeOver}
}

// misdated reports whether a copy may be dated by the wall clock alone: it was written in an
// earlier boot of this host. Its peers know how the clock of the boot in etcd's record relates to
// this one.
func (m *mirror) misdated(ours record.Record) bool {
	if ours.Table == record.Credentials {
		if c, err := record.DecodeCredential(ours); err == nil && c.Walled {
			return true
		}
	}
	boot, err := bootOf(ours)
	return err == nil && boot != "" && boot != m.clocks.own
}

// judgeGrant compares grants: the higher number is the newer one.
func judgeGrant(ours, theirs record.Record, restored bool) judgment {
	o, err := record.DecodeGrant(ours)
	if err != nil {
		return judgment{verdict: takeOver}
	}
	t, err := record.DecodeGrant(theirs)
	switch {
	case err != nil:
		return judgment{} // of a newer version, or damaged before it was sealed
	case o.Number < t.Number:
		return judgment{verdict: takeOver}
	case o.Number > t.Number && (!restored || t.Value == "" || o.Covers(&t)):
		return judgment{verdict: putBack, alarm: true}
	case o.Number > t.Number:
		// After a restore, another host may have fetched with a grant of before, and WeChat may
		// have answered with its newest one, which may be an earlier generation.
		return judgment{verdict: keepBoth, merged: both(o, t), alarm: true}
	case bytes.Equal(ours.Value, theirs.Value):
		return judgment{}
	case o.Value == "" || t.Covers(&o):
		return judgment{verdict: takeOver}
	}
	return judgment{verdict: keepBoth, merged: both(t, o), alarm: true}
}

// both returns g with the value of another copy, usually as an earlier generation, which is tried
// if WeChat refuses that of g. So are the generations of the other copy that were not tried.
func both(g, other record.Grant) record.Record {
	g.Merge(&other)
	g.Number++
	return g.Encode()
}

// judgeCredential compares credentials: the credential that was issued later is newer. Clocks
// decide only after a restore, or about what etcd has never had: etcd's order is certain otherwise,
// and the clock of a host may have stepped back. The stamps of tickets are WeChat's.
func (m *mirror) judgeCredential(ours, theirs record.Record, restored bool) judgment {
	o, err := record.DecodeCredential(ours)
	if err != nil {
		return judgment{verdict: takeOver}
	}
	t, err := record.DecodeCredential(theirs)
	newer := laterTicket(ours, theirs) // else the host would keep it, and etcd another
	if err != nil || !newer && (o.Value == t.Value || m.over(o.Boot, o.End)) {
		return judgment{verdict: takeOver}
	}
	low, _, ok := m.when(o.Boot, o.Issued, o.Walled)
	_, high, ok2 := m.when(t.Boot, t.Issued, t.Walled)
	switch {
	case newer:
	case !o.Stamp.IsZero() && !t.Stamp.IsZero():
		newer = o.Stamp.After(t.Stamp)
	case !restored && ours.Revision != 0:
	case ok && ok2:
		newer = low > high
	case restored:
		newer = o.Issued.Wall.After(t.Issued.Wall)
	}
	if newer {
		return judgment{verdict: putBack, alarm: restored && ours.Revision != 0}
	}
	return judgment{verdict: takeOver}
}

// when bounds the instant of a moment on this host's clock. It reports false if that clock is not
// known, or the moment was not taken from one.
func (m *mirror) when(boot string, at record.Moment, walled bool) (low, high time.Duration, ok bool) {
	low, high, ok = m.clocks.Offset(boot)
	return at.Since + low, at.Since + high, ok && !walled
}

// over reports whether a moment has certainly passed.
func (m *mirror) over(boot string, at record.Moment) bool {
	if at.Wall.IsZero() {
		return false
	}
	if _, high, ok := m.when(boot, at, false); ok {
		return high <= time.Duration(m.clock.Now())
	}
	return !m.wall().Before(at.Wall)
}

// obsolete reports whether a record that etcd lacks is not worth being put back.
func (m *mirror) obsolete(r record.Record) bool {
	switch r.Table {
	case record.Credentials:
		c, err := record.DecodeCredential(r)
		return err != nil || m.over(c.Boot, c.End)
	case record.Codes:
		c, err := record.DecodeCode(r)
		return err != nil || m.over(c.Boot, c.Until)
	case record.Exchanged:
		s, err := record.DecodeSpent(r)
		return err != nil || m.over(s.Boot, s.Until)
	case record.Budgets:
		b, err := record.DecodeBudget(r)
		if err != nil || len(b.Slices) == 0 {
			return true
		}
		last := b.Slices[len(b.Slices)-1].Last
		last.Since += b.Window
		last.Wall = last.Wall.Add(b.Window)
		return m.over(b.Boot, last)
	}
	return false
}

// outlivedAfter is longer than a code lives, and than tokend remembers an exchanged code.
const outlivedAfter = 24 * time.Hour

// ages tells which of etcd's keys have not changed for outlivedAfter, as far as this process has
// seen. No wall clock is involved: the host that has stored a record may have a wrong one.
type ages struct {
	old      int64     // what was changed at this revision or before has not been changed since
	revision int64     // the next old
	at       time.Time // when that was etcd's revision
}

// note notes etcd's revision. restored: older revisions are not comparable with it.
func (a *ages) note(revision int64, restored bool) {
	now := time.Now()
	switch {
	case restored || a.at.IsZero():
		*a = ages{revision: revision, at: now}
	case now.Sub(a.at) >= outlivedAfter:
		*a = ages{old: a.revision, revision: revision, at: now}
	}
}

// outlived reports whether a record of etcd is of a code that is long over: each try of a code
// changes its record. Hosts delete those that they know, but a late transaction may have put one
// back.
func (a *ages) outlived(r record.Record) bool {
	return (r.Table == record.Codes || r.Table == record.Exchanged) && r.Revision <= a.old
}

// laterCall reports whether one budget has counted a later call than another.
func (m *mirror) laterCall(ours, theirs record.Record) bool {
	o, err := record.DecodeBudget(ours)
	if err != nil || len(o.Slices) == 0 {
		return false
	}
	t, err := record.DecodeBudget(theirs)
	if err != nil {
		return false
	}
	if len(t.Slices) == 0 {
		return true
	}
	a, b := o.Slices[len(o.Slices)-1].Last, t.Slices[len(t.Slices)-1].Last
	low, _, ok := m.when(o.Boot, a, false)
	_, high, ok2 := m.when(t.Boot, b, false)
	if ok && ok2 {
		return low > high
	}
	return a.Wall.After(b.Wall)
}
