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

// land takes over an answer: durable, then visible, then known to those who wait. It does so in
// the turn of the name and of the grant, so that what is on disk and what is
// visible change in the same order, whatever else goes on.
func (e *Engine) land(en *entry, spec *Spec, f *flight, a Attempt, got answer) {
	p := spec.Kind.policy()
	end := e.landing(en, spec)
	e.dateAgain()
	before := en.current.Load()
	after, same := settled(p, before, got)
	a.Outcome = "ok"
	if same {
		a.Outcome = "same"
	}

	en.mu.Lock()
	written, why := en.written, en.gone()
	en.mu.Unlock()
	var recs []record.Record
	if why == nil {
		// A repetition too: the next run polls on from it.
		recs = append(recs, e.keep(en.name, spec.Target, after))
	}
	if why == nil && written {
		recs = append(recs, record.Record{Table: record.Holds, Key: en.name})
	}
	err := e.commit(spec.Grant, got, recs)
	if err != nil {
		e.log.Error("cannot write a value: it is served from memory and written when that is possible", "name", en.name, "error", err)
	}

	now := e.clock.Now()
	en.mu.Lock()
	if why = en.gone(); why != nil {
		// It went out of service during the call or the write. A reload then deletes what was
		// written.
		en.mu.Unlock()
		end()
		f.finish(nil, why)
		return
	}
	failures, was := 0, en.hold
	if was != nil {
		failures = was.failures
	}
	en.flight, en.hold, en.landed = nil, nil, true
	en.started, en.outdated = false, false
	en.volatile = err != nil
	en.written = written && err != nil
	if now := en.current.Load(); same && now != before {
		after, _ = settled(p, now, got) // it has been dated again
	}
	en.remember(a)
	en.past.repeated, en.past.dead = 0, ""
	if same && f.rejected {
		en.past.repeated = instantOf(now)
	}
	en.current.Store(after)
	en.refresh = refreshAt(p, after, en.spread(), now, same)
	if e.reconfigured(spec) && e.bySecret(spec) {
		en.refresh = now.Add(soonest) // by the secret in force; not at once: see crash
	}
	e.tellLocked(en, now, !same)
	e.planLocked(en, now)
	en.mu.Unlock()
	end()
	f.finish(after, nil)

	if err != nil {
		e.unsaved.add(en)
	}
	e.counts.refreshed(a.Outcome)
	level := e.log.Info
	if same {
		level = e.log.Debug
	}
	level("refreshed", "name", en.name, "cause", a.Cause, "outcome", a.Outcome, "took", a.Took.Round(time.Millisecond),
		"expires_in", after.end.Sub(now).Round(time.Second), "fingerprint", e.mark.of(after.text), "failures_before", failures)
	e.wakeChildren(en.name)
	e.succeeded(e.host(spec.Kind.policy(), spec.Parent), was)
}

// landing waits for the turn in which a flight lands and returns what ends it. The engine
// goes on being written to while it stops, so nothing cuts this short.
func (e *Engine) landing(en *entry, spec *Spec) (end func()) {
	names := []string{en.name}
	if spec.Grant != "" {
		names = append(names, spec.Grant)
	}
	end, _ = e.turns.take(context.Background(), names...)
	return end
}

// commit makes recs durable and, in the same step, the grant that came with an
// answer: between the two a crash would lose the one or orphan the other. The store's own
// bounds apply, not the flight's: what has been fetched must be kept, also by a
// daemon that is stopping. It is called in the grant's turn.
func (e *Engine) commit(grant string, got answer, recs []record.Record) error {
	ctx := context.Background()
	if grant == "" || got.next == "" || got.next == got.grant {
		if len(recs) == 0 {
			return nil
		}
		return e.cfg.Store.Put(ctx, recs...)
	}
	err := e.grants.rotate(ctx, grant, got.grant, got.next, recs)
	if err != nil {
		e.unsaved.kick()
	}
	return err
}

// hand gives what was fetched for one request to whoever made it, and keeps nothing.
func (e *Engine) hand(en *entry, spec *Spec, f *flight, a Attempt, got answer) {
	a.Outcome = "ok"
	en.mu.Lock()
	var was *hold
	if en.hold != nil && en.hold.since <= got.sent {
		was, en.hold = en.hold, nil // a call beside this one may have been refused after it was answered
	}
	en.remember(a)
	if en.gone() == nil {
		now := e.clock.Now()
		e.tellLocked(en, now, false)
		e.planLocked(en, now)
	}
	en.mu.Unlock()
	e.counts.refreshed(a.Outcome)
	f.finish(&credential{text: got.text, issued: got.sent, end: got.sent.Add(got.life), life: got.life}, nil)
	e.succeeded(e.host(spec.Kind.policy(), spec.Parent), was)
}

// crash takes over a failure: what is valid stays served, and what must not be asked
// again is remembered.
func (e *Engine) crash(en *entry, spec *Spec, f *flight, a Attempt, got answer, err error) {
	if of, ok := errors.AsType[*Error](err); e.base.Err() != nil && (errors.Is(err, context.Canceled) || ok && of.Reason == Stopping) {
		e.giveUp(en, f, stopping())
		return
	}
	if g, ok := errors.AsType[*guardError](err); ok && (g.forced || g.early) {
		// It says nothing of ordinary calls, of those that cannot wait.
		e.postpone(en, f, g)
		return
	}
	end := e.landing(en, spec)
	defer end()
	if of, ok := err.(*Error); ok {
		// Itself, not wrapped as a parent's: the customer's grant is gone.
		en.mu.Lock()
		if en.gone() == nil {
			e.dropLocked(en, of)
		}
		why := en.gone()
		en.mu.Unlock()
		f.finish(nil, why)
		return
	}
	// A value that came too late may have come with a grant that did not.
	if err := e.commit(spec.Grant, got, nil); err != nil {
		e.log.Error("cannot write a grant: it is in force in memory and written when that is possible", "name", spec.Grant, "error", err)
	}
	superseded := e.superseded(spec, f)
	now, wall := e.clock.Now(), time.Now()
	began := now.Add(-a.Took) // a hold that is younger comes from a call beside this one

	en.mu.Lock()
	failures := 1
	if en.hold != nil {
		failures = en.hold.failures
		if en.hold.since <= began {
			failures++
		}
	}
	if pe, ok := errors.AsType[*parentError](err); ok && en.paused(now) != nil {
		// An operator wanted it called in a hold, and it was not: the hold goes on.
		reply := pe.reply(en.hold.err(now))
		en.mu.Unlock()
		e.giveUp(en, f, reply)
		return
	}
	valid := en.valid(now) != nil
	h, keep := e.holdFor(err, spec, failures, en, valid, now, wall)
	keep = keep && !spec.Kind.policy().perAsk
	why := en.gone()
	// What was refused is not what is configured or in force now: ask again at once.
	moot := why != nil || e.reconfigured(spec) || superseded && h.reason == Reauth
	en.written = en.written || keep && !moot
	en.mu.Unlock()
	a.Outcome, a.ErrCode, a.RID = h.reason.String(), h.errcode, h.rid
	if keep && !moot {
		if err := e.cfg.Store.Put(context.Background(), e.keepHold(en.name, h)); err != nil {
			e.log.Error("cannot write a hold: it holds for this run", "name", en.name, "error", err)
		}
	}

	en.mu.Lock()
	en.flight, en.landed = nil, true
	en.started, en.outdated = false, false
	en.remember(a)
	en.past.repeated = 0
	if _, ok := errors.AsType[*parentError](err); ok && f.paid {
		en.past.rejects.giveBack() // the parent bounds the calls: its error is told, not this bound
	}
	switch why = en.gone(); {
	case why != nil:
	case moot || e.reconfigured(spec):
		// Readers ask at once; the schedule a moment later, so that whatever keeps changing
		// makes no hot loop.
		en.hold, en.refresh, moot = nil, now.Add(soonest), true
	case en.hold != nil && en.hold.since > began && en.hold.until > h.until:
	default:
		en.hold, en.refresh = h, h.until
		e.sleepLocked(en, spec.Parent, f.parent, now)
	}
	if why == nil {
		e.tellLocked(en, now, false)
		e.planLocked(en, now)
	}
	en.mu.Unlock()
	e.counts.refreshed(a.Outcome)
	switch pe, ok := errors.AsType[*parentError](err); {
	case why != nil:
		f.finish(nil, why)
		return
	case moot:
		f.finish(nil, errChanged)
	case ok:
		// The parent's own hold says when to come back, not the child's pause.
		f.finish(nil, pe.reply(h.err(now)))
	default:
		f.finish(nil, h.err(now))
	}
	e.logFailure(en, h, a, err, valid, now)
}

// superseded reports whether another grant is in force than the one that the flight was
// refused with. It is called in the grant's turn.
func (e *Engine) superseded(spec *Spec, f *flight) bool {
	if spec.Grant == "" {
		return false
	}
	grant, err := e.grants.get(spec.Grant)
	return err == nil && grant.Live() && grant.Value != f.grant
}

// reconfigured reports whether what spec says is not what is configured now.
func (e *Engine) reconfigured(spec *Spec) bool {
	now, err := e.lookup(spec.Name)
	return err != nil || now.Settings != spec.Settings
}

// giveUp ends a flight that says nothing about WeChat or the credential.
func (e *Engine) giveUp(en *entry, f *flight, err *Error) {
	en.mu.Lock()
	en.flight = nil
	e.planLocked(en, e.clock.Now())
	en.mu.Unlock()
	f.finish(nil, err)
}

// postpone ends a flight that the guard let not make its call, which holds up no other.
func (e *Engine) postpone(en *entry, f *flight, g *guardError) {
	en.mu.Lock()
	if g.early {
		en.refresh = e.clock.Now().Add(g.reply.RetryAfter)
	}
	en.mu.Unlock()
	e.giveUp(en, f, g.reply)
}

func (f *flight) finish(c *credential, err error) {
	f.cred, f.err = c, err
	close(f.done)
}

// holdFor returns the hold that err calls for, and whether it is kept over
// restarts. en.mu is held.
func (e *Engine) holdFor(err error, spec *Spec, failures int, en *entry, valid bool, now clock.Instant, wall time.Time) (h *hold, keep bool) {
	quotas := 0
	if en.hold != nil {
		quotas = en.hold.quotas
	}
	if pe, ok := errors.AsType[*parentError](err); ok {
		h := &hold{reason: Unreachable, message: pe.Error(), failures: failures, quotas: quotas, settings: spec.Settings, since: now, derived: true}
		if of, ok := errors.AsType[*Error](pe.err); ok {
			h.reason, h.message = of.Reason, of.Message
		} else if _, own := errors.AsType[*faultError](pe.err); own {
			h.reason, h.message = Internal, ownFault
		}
		// Asked again of itself, without a call while the parent is held; a parent
		// that recovers wakes it sooner.
		h.until = now.Add(max(shrink(5*time.Minute, en.life()), soonest))
		return h, false
	}
	if oe, ok := errors.AsType[*outletError](err); ok {
		h := *oe.hold // why a refused grant cannot be read again yet
		h.failures, h.quotas, h.settings, h.since = failures, quotas, spec.Settings, now
		return &h, true
	}
	if g, ok := errors.AsType[*guardError](err); ok {
		return &hold{reason: g.reply.Reason, class: fetchers.QuotaMinute, message: g.reply.Message, failures: failures,
			quotas: quotas, settings: spec.Settings, since: now, until: now.Add(g.reply.RetryAfter)}, true
	}
	life := time.Duration(0)
	if c := en.current.Load(); c != nil {
		life = c.life
	}
	h = failed(err, failures, life, spec.Kind.policy().rotates && valid, en.spread(), now)
	h.settings = spec.Settings
	h.count(quotas)
	h.shorten(e.host(spec.Kind.policy(), spec.Parent))
	switch {
	case h.until == never && !e.awaits(spec, h):
		h.toOperator()
	case h.reason == Limited:
		if api, ok := errors.AsType[*fetchers.APIError](err); ok && api.Reaction == fetchers.QuotaDay && e.spentToday(spec, now, wall) {
			h.untilTomorrow(wall, en.spread())
		}
	}
	return h, h.reason != Internal
}

// awaits reports whether something may come by itself that ends h, which no time does.
func (e *Engine) awaits(spec *Spec, h *hold) bool {
	switch h.reason {
	case Reauth:
		return spec.Grant != ""
	case NoTicket:
		parent, err := e.lookup(spec.Parent)
		return err == nil && parent.Kind.policy().pushed > 0
	}
	return false
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
func (e *Engine) logFailure(en *entry, h *hold, a Attempt, err error, valid bool, now clock.Instant) {
	if bits.OnesCount(uint(h.failures)) != 1 {
		return
	}
	message := h.message
	if h.reason == Internal {
		message = err.Error()
	}
	kv := []any{"name", en.name, "cause", a.Cause, "reason", strings.ToUpper(h.reason.String()), "error", message,
		"failures", h.failures, "serving", valid}
	if h.until != never {
		kv = append(kv, "next", h.until.Sub(now).Round(time.Second))
	}
	if h.address != "" {
		kv = append(kv, "address", h.address)
	}
	kv = append(kv, said(err)...)
	if h.personal() {
		e.log.Error("refresh refused: somebody must act", kv...)
		return
	}
	e.log.Warn("refresh failed", kv...)
}

// said returns, for a line of the log that shows err, what WeChat said where err shows tokend's own
// words instead: support asks for it.
func said(err error) []any {
	api, ok := errors.AsType[*fetchers.APIError](err)
	if !ok || api.Errmsg == "" || api.Errmsg == api.Msg {
		return nil
	}
	return []any{"errmsg", api.Errmsg}
}
