package refresh

import (
	"context"
	"errors"
	"math/bits"
	"strings"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/record"
	"tokend/fetchers"
)

// land takes over an answer: durable, then visible, then known to those who wait. Only
// a flight writes an entry's value, and an entry has one flight at most, so
// nothing changes between reading the old value and storing the new.
func (e *Engine) land(en *entry, spec *Spec, f *flight, a Attempt, got answer) {
	p := spec.Kind.policy()
	before := en.current.Load()
	after, same := settled(p, before, got)
	a.Outcome = "ok"
	if same {
		a.Outcome = "same"
	}

	en.mu.Lock()
	held := en.hold != nil
	en.mu.Unlock()
	var recs []record.Record
	if !same || held || after.end != before.end {
		recs = append(recs, e.keep(en.name, after))
	}
	if held {
		recs = append(recs, record.Record{Table: record.Holds, Key: en.name})
	}
	volatile := false
	if err := e.commit(spec.Grant, got, recs); err != nil {
		volatile = true
		e.log.Error("cannot write a value: it is served from memory and written when that is possible", "name", en.name, "error", err)
	}

	now := e.clock.Now()
	en.mu.Lock()
	failures := 0
	if en.hold != nil {
		failures = en.hold.failures
	}
	en.flight, en.hold = nil, nil
	en.started, en.outdated = false, false
	en.volatile = volatile
	en.history.add(a)
	en.repeated = 0
	if same && f.rejected {
		en.repeated = instantOf(now)
	}
	if why := en.gone; why != nil {
		en.mu.Unlock()
		// It went out of service while the call was under way: what was just written
		// must not come back at the next start.
		if err := e.forget([]record.Record{{Table: record.Credentials, Key: en.name}}); err != nil {
			e.log.Error("cannot delete the record of what is out of service", "name", en.name, "error", err)
		}
		f.finish(nil, why)
		return
	}
	en.current.Store(after)
	en.refresh = refreshAt(p, after, en.spread, now, same)
	e.tellLocked(en, now, !same)
	e.planLocked(en, now)
	en.mu.Unlock()
	f.finish(after, nil)

	if volatile {
		e.unsaved.add(en)
	}
	e.counts.refreshed(a.Outcome)
	level := e.log.Info
	if same {
		level = e.log.Debug
	}
	level("refreshed", "name", en.name, "cause", a.Cause, "outcome", a.Outcome, "took", a.Took.Round(time.Millisecond),
		"expires_in", after.end.Sub(now).Round(time.Second), "fingerprint", after.fingerprint(), "failures_before", failures)
	if failures > 0 {
		e.wakeChildren(en.name)
	}
}

// commit makes recs durable and, in the same step, the grant that came with an
// answer: between the two a crash would lose the one or orphan the other. The store's own
// bounds apply, not the flight's: what has been fetched must be kept, also by a
// daemon that is stopping.
func (e *Engine) commit(grant string, got answer, recs []record.Record) error {
	ctx := context.Background()
	if grant == "" || got.next == "" || got.next == got.grant {
		if len(recs) == 0 {
			return nil
		}
		return e.cfg.Store.Put(ctx, recs...)
	}
	return e.grants.rotate(ctx, grant, got.grant, got.next, recs)
}

// hand gives what was fetched for one ask to the one who asked, and keeps nothing.
func (e *Engine) hand(en *entry, f *flight, a Attempt, got answer) {
	a.Outcome = "ok"
	en.mu.Lock()
	held := en.hold != nil
	en.flight, en.hold = nil, nil
	en.history.add(a)
	en.mu.Unlock()
	if held {
		if err := e.forget([]record.Record{{Table: record.Holds, Key: en.name}}); err != nil {
			e.log.Error("cannot delete a hold that has ended", "name", en.name, "error", err)
		}
	}
	e.counts.refreshed(a.Outcome)
	f.finish(&credential{text: got.text, issued: got.sent, end: got.sent.Add(got.life), life: got.life}, nil)
}

// crash takes over a failure: what is valid stays served, and what must not be asked
// again is remembered.
func (e *Engine) crash(en *entry, spec *Spec, f *flight, a Attempt, err error) {
	now, wall := e.clock.Now(), time.Now()
	if of, ok := errors.AsType[*Error](err); e.base.Err() != nil && (errors.Is(err, context.Canceled) || ok && of.Reason == Stopping) {
		e.giveUp(en, f, stopping())
		return
	}
	if g, ok := errors.AsType[*guardError](err); ok && g.forced {
		// The guard of forced refreshes says nothing of ordinary ones.
		e.giveUp(en, f, g.reply)
		return
	}

	en.mu.Lock()
	failures := 1
	if en.hold != nil {
		failures = en.hold.failures + 1
	}
	valid := en.valid(now)
	h, keep := e.holdFor(err, spec, failures, en, valid != nil, now, wall)
	en.mu.Unlock()
	if keep {
		if err := e.cfg.Store.Put(context.Background(), e.keepHold(en.name, h)); err != nil {
			e.log.Error("cannot write a hold: it holds for this run", "name", en.name, "error", err)
		}
	}
	a.Outcome, a.ErrCode, a.RID = h.reason.String(), h.errcode, h.rid

	en.mu.Lock()
	en.flight = nil
	en.started, en.outdated = false, false
	en.history.add(a)
	en.repeated = 0
	if why := en.gone; why != nil {
		en.mu.Unlock()
		f.finish(nil, why)
		return
	}
	if en.spec.Load().Settings == spec.Settings {
		en.hold, en.refresh = h, h.until
	} else {
		// What was refused is not what is configured now: ask again at once.
		en.hold, en.refresh = nil, now
	}
	e.tellLocked(en, now, false)
	e.planLocked(en, now)
	en.mu.Unlock()
	reply := h.err(now)
	if _, ok := errors.AsType[*parentError](err); ok {
		// The parent's own hold says when to come back, not the child's pause.
		reply = parentReply(err, reply)
	}
	f.finish(nil, reply)
	e.counts.refreshed(a.Outcome)
	e.logFailure(en, h, a, valid != nil, now)
}

// giveUp ends a flight that says nothing about WeChat or the credential.
func (e *Engine) giveUp(en *entry, f *flight, err *Error) {
	en.mu.Lock()
	en.flight = nil
	e.planLocked(en, e.clock.Now())
	en.mu.Unlock()
	f.finish(nil, err)
}

func (f *flight) finish(c *credential, err error) {
	f.cred, f.err = c, err
	close(f.done)
}

// holdFor returns the hold that err calls for, and whether it is kept over
// restarts. en.mu is held.
func (e *Engine) holdFor(err error, spec *Spec, failures int, en *entry, valid bool, now clock.Instant, wall time.Time) (h *hold, keep bool) {
	if pe, ok := errors.AsType[*parentError](err); ok {
		h := &hold{reason: Unreachable, message: pe.Error(), failures: failures, settings: spec.Settings, since: now, derived: true}
		if of, ok := errors.AsType[*Error](pe.err); ok {
			h.reason, h.message = of.Reason, of.Message
		}
		// Asked again of itself, without a call while the parent is held; a parent
		// that recovers wakes it sooner.
		h.until = now.Add(max(shrink(5*time.Minute, en.life()), soonest))
		return h, false
	}
	if g, ok := errors.AsType[*guardError](err); ok {
		return &hold{reason: g.reply.Reason, class: fetchers.QuotaMinute, message: g.reply.Message, failures: failures,
			settings: spec.Settings, since: now, until: now.Add(g.reply.RetryAfter)}, true
	}
	life := time.Duration(0)
	if c := en.current.Load(); c != nil {
		life = c.life
	}
	h = failed(err, failures, life, spec.Kind.policy().rotates && valid, en.spread, now, wall)
	h.settings = spec.Settings
	return h, true
}

func parentReply(err error, reply *Error) *Error {
	of, ok := errors.AsType[*Error](err)
	if !ok {
		return reply
	}
	return of
}

// tellLocked tells the watchers if the state has changed or, with changed, the
// value. en.mu is held, so the events of one credential come in order.
func (e *Engine) tellLocked(en *entry, now clock.Instant, changed bool) {
	l := en.listingLocked(now)
	if l.State == en.shown && !changed {
		return
	}
	en.shown = l.State
	e.watchers.tell(l)
}

// logFailure logs the first failure of a row and then each doubling, so that an
// outage of a night is a dozen lines and not a thousand.
func (e *Engine) logFailure(en *entry, h *hold, a Attempt, valid bool, now clock.Instant) {
	if bits.OnesCount(uint(h.failures)) != 1 {
		return
	}
	kv := []any{"name", en.name, "cause", a.Cause, "reason", strings.ToUpper(h.reason.String()), "error", h.message,
		"failures", h.failures, "serving", valid}
	if h.until != never {
		kv = append(kv, "next", h.until.Sub(now).Round(time.Second))
	}
	if h.address != "" {
		kv = append(kv, "address", h.address)
	}
	if h.personal() {
		e.log.Error("refresh refused: somebody must act", kv...)
		return
	}
	e.log.Warn("refresh failed", kv...)
}

// wakeChildren lets the children of a parent that has recovered ask again.
func (e *Engine) wakeChildren(parent string) {
	now := e.clock.Now()
	var ended []record.Record
	for _, en := range e.index.all() {
		if en.spec.Load().Parent != parent {
			continue
		}
		en.mu.Lock()
		if h := en.hold; h != nil && (h.derived || h.reason == NoTicket) {
			woken := *h
			woken.until = now
			en.hold, en.refresh = &woken, now
			e.planLocked(en, now)
			if !h.derived {
				ended = append(ended, record.Record{Table: record.Holds, Key: en.name})
			}
		}
		en.mu.Unlock()
	}
	if err := e.forget(ended); err != nil {
		e.log.Error("cannot delete the holds that a parent has ended", "name", parent, "error", err)
	}
}
