package refresh

import (
	"context"
	"time"

	"tokend/daemon/record"
)

// setBack makes everything on disk look as if the wall clock had been set back since, to the time
// by before the newest of it.
func setBack(d *disk, by time.Duration) {
	var newest time.Time
	for r := range d.All(record.Credentials) {
		if c, err := record.DecodeCredential(r); err == nil && c.Seen.Wall.After(newest) {
			newest = c.Seen.Wall
		}
	}
	if !newest.IsZero() {
		by += time.Since(newest)
	}
	for _, table := range []record.Table{record.Credentials, record.Holds, record.Budgets, record.Grants, record.Codes} {
		for r := range d.All(table) {
			_ = d.Store.Put(context.Background(), later(r, by))
		}
	}
}

// later returns r as if the wall clock had been by further when it was written.
func later(r record.Record, by time.Duration) record.Record {
	move := func(ms ...*record.Moment) {
		for _, m := range ms {
			if !m.Wall.IsZero() {
				m.Wall = m.Wall.Add(by)
			}
		}
	}
	at := func(ts ...*time.Time) {
		for _, t := range ts {
			if !t.IsZero() {
				*t = t.Add(by)
			}
		}
	}
	switch r.Table {
	case record.Credentials:
		c, _ := record.DecodeCredential(r)
		move(&c.Issued, &c.Seen, &c.End)
		at(&c.Stamp)
		return c.Encode()
	case record.Holds:
		h, _ := record.DecodeHold(r)
		move(&h.Since, &h.Until)
		return h.Encode()
	case record.Budgets:
		b, _ := record.DecodeBudget(r)
		for i := range b.Slices {
			move(&b.Slices[i].First, &b.Slices[i].Last)
		}
		return b.Encode()
	case record.Grants:
		g, _ := record.DecodeGrant(r)
		at(&g.At) // Revoked is WeChat's
		for i := range g.Earlier {
			at(&g.Earlier[i].At)
		}
		return g.Encode()
	default:
		c, _ := record.DecodeCode(r)
		move(&c.Until, &c.Next) // At is WeChat's
		return c.Encode(r.Key)
	}
}
