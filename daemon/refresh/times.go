package refresh

import (
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/quota"
	"tokend/daemon/record"
	"tokend/fetchers"
)

// This file translates between the engine's clock, which counts from boot, and what is kept on
// disk. Within one boot the kept instant decides. Of another boot only the wall clock is known, and
// it may have been set. So nothing then lives longer than it had left, and no hold is longer than
// it was.

// slack is how far the wall clock may have been set back over a boot before what was kept is
// not believed to be alive. Time servers correct less at a start.
const slack = time.Minute

// moment returns i as it is kept on disk.
func (e *Engine) moment(i clock.Instant) record.Moment {
	if i == never {
		return record.Moment{}
	}
	return record.Moment{Wall: e.clock.Wall(i), Since: time.Duration(i)}
}

// bound tells which bound of a moment is safe, if it is known within bounds only.
type bound bool

const (
	earliest bound = false // of ends of values
	latest   bound = true  // of calls and holds
)

// unmet is how much earlier a value of another host ends if no host has met the boot in which it
// was fetched: the wall clocks of the two may differ.
const unmet = 10 * time.Second

// instant returns a kept moment on this boot's clock. Of another boot of this host only the wall
// clock tells, of one of another host its offset, if that is known.
func (e *Engine) instant(m record.Moment, boot string, b bound) clock.Instant {
	switch {
	case m.Wall.IsZero():
		return never
	case boot != "" && boot == e.cfg.Boot:
		return clock.Instant(m.Since)
	case e.cfg.Peers == nil:
		return e.clock.At(m.Wall)
	}
	switch low, high, ok := e.cfg.Peers.Offset(boot); {
	case ok && b == latest:
		return clock.Instant(m.Since).Add(high)
	case ok:
		return clock.Instant(m.Since).Add(low)
	case b == latest:
		return e.clock.At(m.Wall)
	}
	return e.clock.At(m.Wall).Add(-unmet)
}

// past returns a kept moment that has been on this boot's clock: now where a wall
// clock says that it is still to come.
func (e *Engine) past(m record.Moment, boot string) clock.Instant {
	return min(e.instant(m, boot, latest), e.clock.Now())
}

// keep returns the durable form of c.
func (e *Engine) keep(name, target string, c *cached) record.Record {
	r := e.form(name, target, c)
	return r.Encode()
}

// form returns c as it is on disk.
func (e *Engine) form(name, target string, c *cached) record.Credential {
	r := record.Credential{
		Name:   name,
		Value:  c.text,
		Boot:   e.cfg.Boot,
		Issued: e.moment(c.issued),
		Seen:   e.moment(c.seen),
		End:    e.moment(c.end),
		Life:   c.life,
		Aged:   c.aged,
		Walled: c.byWallClock,
		Target: target,
	}
	if p := c.pushed; p != nil {
		r.Stamp, r.Previous = p.stamp, p.previous
	}
	if c.overdue != 0 {
		r.Overdue = e.moment(c.overdue)
	}
	return r
}

// kept is the reverse of keep. Where the wall clock has been turned back since, what was kept in
// another boot cannot be trusted to be alive.
func (e *Engine) kept(r record.Credential) *cached {
	now := e.clock.Now()
	at := func(m record.Moment) clock.Instant {
		i := e.instant(m, r.Boot, earliest)
		if r.Walled {
			i = min(i, e.clock.At(m.Wall)) // it may have been set forward since then
		}
		return i
	}
	c := &cached{
		text:        r.Value,
		issued:      min(at(r.Issued), now),
		seen:        min(at(r.Seen), now),
		end:         min(at(r.End), now.Add(r.End.Since-r.Seen.Since)),
		life:        r.Life,
		aged:        r.Aged,
		byWallClock: r.Walled || e.doubts(r),
	}
	if c.byWallClock {
		e.dating.some.Store(true)
	}
	if !r.Stamp.IsZero() || r.Previous != "" {
		c.pushed = &pushed{r.Stamp, r.Previous}
	}
	if !r.Overdue.Wall.IsZero() {
		c.overdue = nonzero(min(at(r.Overdue), now))
	}
	if e.doubts(r) && e.turned {
		c.end = min(c.end, now)
	}
	return c
}

// nonzero returns i, or the next instant if i is zero, which stands for none.
func nonzero(i clock.Instant) clock.Instant {
	if i == 0 {
		return 1
	}
	return i
}

// doubts reports whether only the wall clock tells when r was written.
func (e *Engine) doubts(r record.Credential) bool {
	if r.Boot != "" && r.Boot == e.cfg.Boot {
		return false
	}
	if e.cfg.Peers == nil {
		return true
	}
	_, _, met := e.cfg.Peers.Offset(r.Boot)
	return !met
}

// keepHold returns the durable form of h.
func (e *Engine) keepHold(name string, h *hold) record.Record {
	return record.Hold{
		Name:     name,
		Settings: h.settings,
		Reason:   uint8(h.reason),
		Cause:    uint8(h.class),
		ErrCode:  h.errcode,
		Message:  h.message,
		RID:      h.rid,
		Address:  h.address,
		Failures: h.failures,
		Quotas:   h.quotas,
		Boot:     e.cfg.Boot,
		Since:    e.moment(h.since),
		Until:    e.moment(h.until),
	}.Encode()
}

// keptHold is the reverse of keepHold.
func (e *Engine) keptHold(r record.Hold) *hold {
	h := &hold{
		reason:   credential.Reason(r.Reason),
		class:    fetchers.Reaction(r.Cause),
		errcode:  r.ErrCode,
		message:  r.Message,
		rid:      r.RID,
		address:  r.Address,
		failures: r.Failures,
		quotas:   r.Quotas,
		settings: r.Settings,
		since:    e.past(r.Since, r.Boot),
		until:    e.instant(r.Until, r.Boot, latest),
	}
	if h.until != never {
		h.until = min(h.until, e.clock.Now().Add(r.Until.Since-r.Since.Since))
	}
	return h
}

// resumed returns the hold of spec that an earlier run, or this one, has kept as r.
func (e *Engine) resumed(r record.Hold, spec *Spec) *hold {
	h := e.keptHold(r)
	if h.until == never && !e.awaits(spec, h) {
		h.toOperator()
	}
	if e.lifted(h, spec) || e.outlived(h, spec) {
		h.until = min(h.until, instantOf(e.clock.Now()))
	}
	return h
}

// outlived reports whether h, which is stored, is because of a grant that has been changed since.
// The host that has changed it need not have known of h.
func (e *Engine) outlived(h *hold, spec *Spec) bool {
	if e.cfg.Peers == nil || h.reason != credential.Reauth || spec.Grant == "" {
		return false
	}
	refused, err := e.cfg.Store.Get(record.Holds, spec.Name)
	grant, err2 := e.cfg.Store.Get(record.Grants, spec.Grant)
	return err == nil && err2 == nil && grant.Revision > refused.Revision
}

// keepTally returns the durable form of t.
func (e *Engine) keepTally(key string, t quota.Tally) record.Record {
	b := record.Budget{Key: key, Window: t.Window, Boot: e.cfg.Boot}
	for _, s := range t.Slices {
		b.Slices = append(b.Slices, record.Slice{First: e.moment(s.First), Last: e.moment(s.Last), Calls: s.Calls})
	}
	return b.Encode()
}

// keptTally is the reverse of keepTally. A call that a wall clock says is still to come counts
// as made now.
func (e *Engine) keptTally(r record.Budget) quota.Tally {
	t := quota.Tally{Window: r.Window}
	for _, s := range r.Slices {
		t.Slices = append(t.Slices, quota.Slice{First: e.past(s.First, r.Boot), Last: e.past(s.Last, r.Boot), Calls: s.Calls})
	}
	return t.Live(e.clock.Now())
}

// keepCode returns the durable form of x, which was promised until until.
func (e *Engine) keepCode(x *exchange, until clock.Instant) record.Record {
	return record.Code{
		Owner: x.owner,
		Value: x.value,
		At:    x.at,
		Boot:  e.cfg.Boot,
		Until: e.moment(until),
		Next:  e.moment(x.next),
		Tries: x.tries,
		Grant: x.grant,
	}.Encode(x.key)
}

// longestWait bounds how long a code waits for its next try after a boot: the pause of the worst
// of passing faults.
const longestWait = 5 * time.Minute

// keptExchange is the reverse of keepCode.
func (e *Engine) keptExchange(r record.Record) (*exchange, error) {
	c, err := record.DecodeCode(r)
	if err != nil {
		return nil, err
	}
	return &exchange{
		owner: c.Owner,
		value: c.Value,
		key:   r.Key,
		came:  e.clock.Now(),
		at:    c.At,
		tries: c.Tries,
		grant: c.Grant,
		next:  min(e.instant(c.Next, c.Boot, latest), e.clock.Now().Add(longestWait)),
		until: instantOf(e.instant(c.Until, c.Boot, earliest)),
	}, nil
}
