package cluster

import (
	"context"
	"errors"
	"slices"

	"tokend/daemon/cluster/seal"
)

const (
	// maxRepairs is how many records one transaction puts back: there are as many compares,
	// operations and gets.
	maxRepairs = MaxOps / 2

	// maxChanged is how often a record may change while it is being put back. After that it is left
	// for the next comparison.
	maxChanged = 20

	// maxAlarms is how many records a comparison logs by name.
	maxAlarms = 20
)

var errChanging = errors.New("records change all the time")

// act does what is to be done about the keys of a page.
func (c *comparison) act(ctx context.Context) error {
	if err := c.update(ctx); err != nil {
		return err
	}
	back := c.back
	c.back = nil
	for changed := 0; len(back) > 0 && c.refused == nil; {
		batch, t := c.draft(back)
		o, err := c.txn(ctx, t)
		switch {
		case Refused(err):
			c.refused = err
		case err != nil:
			return err
		case o.Held:
			c.done(batch, o.Revision)
			back = back[len(batch):]
		default:
			if changed++; changed > maxChanged {
				c.refused = errChanging
			}
			back = append(c.again(batch, o.Got), back[len(batch):]...)
		}
	}
	return c.update(ctx)
}

// update gives copies their revisions, and applies what etcd has.
func (c *comparison) update(ctx context.Context) error {
	for batch := range slices.Chunk(c.based, batchSize) {
		if err := c.local.rebase(ctx, batch...); err != nil {
			return err
		}
	}
	c.based = nil
	for batch := range slices.Chunk(c.newer, batchSize) {
		if err := c.apply(ctx, batch...); err != nil {
			return err
		}
	}
	c.newer = nil
	return nil
}

// draft returns a transaction for as many repairs as it can have, at least one.
func (c *comparison) draft(back []repair) (batch []repair, t Txn) {
	for n := min(len(back), maxRepairs); ; n /= 2 {
		batch, t = back[:n], Txn{}
		for _, r := range batch {
			op := c.keys.change(r.Record)
			t.If = append(t.If, Compare{Key: op.Key, Field: Modified, Value: r.base})
			t.Then = append(t.Then, op)
			t.Else = append(t.Else, Op{Verb: Get, Key: op.Key})
		}
		if n == 1 || fits(t) == nil {
			return batch, t
		}
	}
}

// done takes over what has been put back at a revision.
func (c *comparison) done(batch []repair, revision int64) {
	c.last = revision
	for _, r := range batch {
		c.repaired++
		c.rebase(r.Record, revision) // no copy has the revision of a merged record
		if r.alarm == "" {
			continue
		}
		if c.alarms++; c.alarms <= maxAlarms {
			c.log.Error("put back in etcd: "+r.alarm, "table", string(r.Table), "name", r.Key)
		}
	}
}

// again returns what is still to be put back, after others have changed some of the keys.
func (c *comparison) again(batch []repair, got []KeyValue) (still []repair) {
	for i, r := range batch {
		kv := got[i]
		if kv.Modified == r.base {
			still = append(still, r)
			continue
		}
		letter := c.letter(kv.Key)
		if !kv.Present() {
			if r.Value == nil {
				continue
			}
			still = append(still, repair{r.Record, 0, r.alarm})
			continue
		}
		theirs, err := c.open(letter, kv)
		switch {
		case errors.Is(err, seal.ErrSealed):
			still = append(still, repair{r.Record, kv.Modified, r.alarm})
			continue
		case err != nil:
			continue
		}
		ours, ok := c.ours(theirs)
		if !ok {
			continue
		}
		switch j := c.judge(ours, theirs, c.restored); j.verdict {
		case takeOver, alike:
			c.take(ours, theirs)
		case putBack:
			still = append(still, repair{ours, kv.Modified, r.alarm})
		case keepBoth:
			still = append(still, repair{j.merged, kv.Modified, r.alarm})
		}
	}
	return still
}

// clear deletes damaged values that no copy replaces, of what hosts fetch or count again. No change
// of such a record could be stored, and no call be made that depends on it.
func (c *comparison) clear(ctx context.Context) error {
	for key, at := range c.damaged {
		if letter := c.letter(key); letter != "c" && letter != "h" && letter != "b" || c.refused != nil {
			continue
		}
		o, err := c.txn(ctx, Txn{If: []Compare{{Key: key, Field: Modified, Value: at}}, Then: []Op{{Verb: Delete, Key: key}}})
		switch {
		case Refused(err):
			c.refused = err
		case err != nil:
			return err
		case o.Held:
			c.log.Error("deleted in etcd: a damaged value of which this host has no copy to put back", "key", key)
		}
	}
	return nil
}
