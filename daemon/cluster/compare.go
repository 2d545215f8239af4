package cluster

import (
	"context"
	"errors"
	"hash/maphash"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/cluster/seal"
	"tokend/daemon/record"
)

// comparison is a load of everything that etcd has at one revision, compared with this host's
// copies. What is newer here is put back. The first load of a host is a comparison with nothing.
type comparison struct {
	*mirror
	at       Header
	last     int64 // the revision of the last repair, or that of the first page
	began    clock.Instant
	restored bool // revisions of before say nothing

	hash    maphash.Seed
	present map[uint64]bool       // the keys that etcd has, by their hash
	damaged map[string]int64      // revisions of values that do not open
	live    map[string][]KeyValue // by letter: what is not stored on hosts
	rooted  bool                  // etcd has the cluster's root

	// What is to be done about the keys of a page, in this order.
	based []rebased
	newer []record.Record // etcd's, to be applied
	back  []repair

	withdrawals

	refused  error // by etcd, of a repair
	repaired int
	alarms   int
}

// repair is a record that etcd is to have in place of what it had at a revision, or a deletion.
type repair struct {
	record.Record
	base  int64
	alarm string // what has happened, if an operator must know
}

// compareRetry is how soon everything is compared again if etcd refused a repair.
const compareRetry = 10 * time.Second

// load compares everything.
func (m *mirror) load(ctx context.Context, why string) error {
	c := &comparison{
		mirror: m, began: m.clock.Now(), hash: maphash.MakeSeed(), present: make(map[uint64]bool),
		damaged: make(map[string]int64), live: make(map[string][]KeyValue),
		withdrawals: withdrawals{lacked: make(map[string][]record.Record), overtaken: make(map[string]bool)},
	}
	refused := m.local.refused()
	_, err := m.pages(ctx, m.keys.prefix+"/", func(at Header, page []KeyValue) error { return c.page(ctx, at, page) })
	if err == nil {
		err = c.missing(ctx)
	}
	if err != nil {
		return err
	}
	m.refused = refused
	c.finish(ctx, why)
	return nil
}

// finish makes the result known.
func (c *comparison) finish(ctx context.Context, why string) {
	m := c.mirror
	m.takeMembers(c.live["m"])
	m.beats.reset(c.live["n"])
	m.claims.reset(c.live["l"], c.at.Revision)
	m.claims.compared(c.restored)
	m.ages.note(c.at.Revision, c.restored)
	for _, letter := range []string{"m", "n", "l"} {
		m.floors[letter] = c.at.Revision
	}
	m.etcd.Store(c.at.Cluster)
	m.cleared.Store(c.last) // before revived is false
	m.mu.Lock()
	m.loads++
	m.dated = m.clocks.own
	m.compared, m.due = time.Now(), time.Now().Add(compareEvery)
	if c.refused != nil {
		m.due = time.Now().Add(compareRetry)
	} else if m.wanted == "" {
		m.revived = false
	}
	if c.restored {
		m.restoredAt = m.compared
	}
	m.mu.Unlock()
	if c.refused == nil {
		m.restored = false
	}
	m.revision.Store(c.at.Revision)
	m.advance(ctx, c.at.Revision)
	m.save(ctx)
	m.beats.complete(c.began)
	m.log.Info("compared with etcd", "why", why, "revision", c.at.Revision, "keys", len(c.present), "restored", c.repaired)
	if c.refused != nil {
		m.log.Error("etcd lacks records that this host has", "error", c.refused)
	}
}

// page compares a page of keys.
func (c *comparison) page(ctx context.Context, at Header, page []KeyValue) error {
	if c.at == (Header{}) {
		c.start(at)
	}
	for _, kv := range page {
		switch letter := c.letter(kv.Key); letter {
		case "m", "n", "l":
			c.live[letter] = append(c.live[letter], kv)
		case "v":
			c.rooted = true
		default:
			if err := c.compare(letter, kv); err != nil {
				return err
			}
		}
	}
	return c.act(ctx)
}

// start takes over the header of the first page.
func (c *comparison) start(at Header) {
	m := c.mirror
	c.at, c.last = at, at.Revision
	if c.restored = m.restored; !c.restored {
		return
	}
	m.etcd.Store(at.Cluster)
	m.revision.Store(at.Revision)
	m.ages = ages{} // a key that has changed since may have an older revision
	m.local.restored()
	m.claims.restored()
}

// compare compares a key with its copy.
func (c *comparison) compare(letter string, kv KeyValue) error {
	id := maphash.String(c.hash, kv.Key)
	r, err := c.open(letter, kv)
	if err != nil {
		if errors.Is(err, seal.ErrSealed) {
			c.damaged[kv.Key] = kv.Modified
		} else {
			c.present[id] = true
		}
		return nil
	}
	c.present[id] = true
	if c.mirror.ages.outlived(r) {
		c.back = append(c.back, repair{record.Record{Table: r.Table, Key: r.Key}, kv.Modified, ""})
		return nil
	}
	ours, ok := c.ours(r)
	if !ok || c.suspends(r) {
		return nil
	}
	if !c.restored && ours.Revision > kv.Modified && ours.Value != nil {
		if ours.Revision > c.at.Revision {
			return nil // this host has changed it since
		}
		return errRestored // unnoticed, and etcd has got further since
	}
	c.compareNumbers(ours, r)
	c.decide(ours, r)
	return nil
}

// decide notes what is to be done about a copy and etcd's record.
func (c *comparison) decide(ours, theirs record.Record) {
	j := c.judge(ours, theirs, c.restored)
	if j.verdict == alike && !c.restored && ours.Revision != theirs.Revision {
		j.verdict = takeOver // its revision
	}
	if j.verdict == takeOver {
		c.take(ours, theirs)
		return
	}
	if c.restored {
		ours = c.rebase(ours, theirs.Revision)
	}
	switch j.verdict {
	case putBack:
		c.back = append(c.back, repair{ours, theirs.Revision, alarmText(j, "etcd had an older one")})
	case keepBoth:
		c.back = append(c.back, repair{j.merged, theirs.Revision, alarmText(j, "etcd had another one of the same age: both are kept")})
	}
}

// take notes that etcd's record replaces a copy, also one of a revision before a restore.
func (c *comparison) take(ours, theirs record.Record) {
	if c.restored && ours.Revision > theirs.Revision {
		c.rebase(ours, 0)
	}
	c.newer = append(c.newer, theirs)
}

func alarmText(j judgment, text string) string {
	if !j.alarm {
		return ""
	}
	return text
}

// missing compares the copies of what etcd does not have.
func (c *comparison) missing(ctx context.Context) error {
	c.release()
	if !c.rooted {
		if err := c.putRoot(ctx); Refused(err) {
			c.refused = err
		} else if err != nil {
			return err
		}
	}
	for _, table := range []record.Table{
		record.Grants, record.Credentials, record.Holds, record.Budgets, record.Codes, record.Exchanged, record.Keys,
	} {
		for ours, err := range c.local.All(table) {
			if err == nil {
				c.lacks(ours)
			}
		}
		if err := c.act(ctx); err != nil {
			return err
		}
	}
	return c.clear(ctx)
}

// lacks notes what is to be done about a copy if etcd does not have it.
func (c *comparison) lacks(ours record.Record) {
	key := c.keys.of(ours.Table, ours.Key)
	if c.present[maphash.String(c.hash, key)] || !c.restored && ours.Revision > c.at.Revision {
		return
	}
	base, text := c.damaged[key], "etcd had lost it"
	if base != 0 {
		text = "etcd had a damaged one"
	}
	was := ours.Revision != 0
	ours.Value = append([]byte{}, ours.Value...) // the iteration reuses it
	if was && base == 0 && c.deletes(ours) {
		c.take(ours, record.Record{Table: ours.Table, Key: ours.Key, Revision: c.at.Revision})
		return
	}
	switch ours.Table {
	case record.Grants:
		if g, err := record.DecodeGrant(ours); err != nil {
			return
		} else if g.Number == 0 {
			g.Number = 1
			ours.Value = g.Encode().Value
		}
	case record.Holds:
		if !was {
			return
		}
	case record.Codes, record.Exchanged:
		if c.obsolete(ours) {
			c.forgo(ours)
			return
		}
	default:
		if !was || c.obsolete(ours) {
			c.forgo(ours)
			return
		}
	}
	if !was || ours.Table == record.Budgets {
		text = ""
	}
	delete(c.damaged, key)
	c.back = append(c.back, repair{ours, base, text})
}

// forgo notes that etcd will not have the record of a copy. After a restore, its revision would
// make all changes of the record fail until etcd has reached that revision again.
func (c *comparison) forgo(ours record.Record) {
	if c.restored {
		c.rebase(ours, 0)
	}
}

// deletes reports whether a host has deleted in etcd what a copy is of: a hold that has ended, or
// the value of an authorization that was withdrawn. A restore may have lost the value, but for one
// of a grant that this host has missed the successor of.
func (c *comparison) deletes(ours record.Record) bool {
	if ours.Table != record.Credentials {
		return ours.Table == record.Holds
	}
	grant := c.grant(ours.Key)
	return grant != "" && (!c.restored || c.overtaken[grant])
}

// rebase notes that a copy counts as a copy of another revision, and returns it so.
func (c *comparison) rebase(ours record.Record, to int64) record.Record {
	if ours.Value != nil && ours.Revision != to {
		c.based = append(c.based, rebased{ours, to})
		ours.Revision = to
	}
	return ours
}

// ours returns the copy of a record of etcd. Its Value is nil if there is none. It reports false if
// nothing is to be done about the record: after a restore, a grant that cannot be read may be newer
// than what etcd has. Any other copy that cannot be read is replaced, and readable again.
func (c *comparison) ours(theirs record.Record) (ours record.Record, ok bool) {
	ours, err := copyOf(c.local, theirs.Table, theirs.Key)
	if err == nil {
		return ours, true
	}
	if c.restored && theirs.Table == record.Grants {
		c.log.Error("a grant cannot be read: what etcd has does not replace it", "name", theirs.Key, "error", err)
		return ours, false
	}
	return record.Record{Table: theirs.Table, Key: theirs.Key}, true
}
