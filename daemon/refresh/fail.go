package refresh

import (
	"context"
	"errors"
	"math/bits"
	"strings"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/fetchers"
)

// fail takes over a failure: what is valid stays served, and what must not be asked
// again is remembered.
func (x *fetch) fail(err error) {
	if x.saysNothing(err) {
		return
	}
	for x.follows(x.failOnce(err)) {
	}
}

// failOnce is fail, unless newer records of another host are in the way, which it returns.
func (x *fetch) failOnce(err error) *NewerError {
	defer x.lock()()
	if why, ok := err.(*credential.Error); ok {
		x.drop(why) // itself, not wrapped as a parent's: the customer's grant is gone
		return nil
	}
	if newer := x.keepGrant(); newer != nil {
		return newer
	}
	v, reply := x.judge(err)
	if reply != nil {
		x.abandon(0, reply)
		return nil
	}
	if newer := x.keepHold(v); newer != nil {
		return newer
	}
	gone := x.conclude(&v, err)
	x.engine.counts.refreshed(x.spec.Policy, &x.attempt)
	x.flight.finish(nil, v.reply(gone, err))
	if gone == nil {
		x.engine.logFailure(x.en, v.hold, x.attempt, err, v.valid, v.now)
	}
	return nil
}

// saysNothing ends a flight whose failure says nothing about WeChat or the credential, and reports
// whether it is one.
func (x *fetch) saysNothing(err error) bool {
	of, own := errors.AsType[*credential.Error](err)
	g, guarded := errors.AsType[*guardError](err)
	p, others := errors.AsType[*peersError](err)
	switch {
	case others:
		x.giveUp(p)
	case x.engine.base.Err() != nil && (errors.Is(err, context.Canceled) || own && of.Reason == credential.Stopping):
		x.abandon(0, stopping())
	case guarded && g.early:
		x.abandon(x.engine.clock.Now().Add(g.reply.RetryAfter), g.reply) // calls that cannot wait continue
	case guarded && g.forced:
		x.abandon(0, g.reply) // ordinary calls continue
	default:
		return false
	}
	return true
}

// abandon ends the flight as if it had not been. refresh is zero if the next refresh is due as
// before.
func (x *fetch) abandon(refresh clock.Instant, reply *credential.Error) {
	x.en.mu.Lock()
	x.engine.applyLocked(x.en, flightAbandoned{refresh: refresh}, x.engine.clock.Now())
	x.en.mu.Unlock()
	x.flight.finish(nil, reply)
}

// drop takes the entry out of service.
func (x *fetch) drop(why *credential.Error) {
	x.en.mu.Lock()
	if gone := x.en.gone(); gone != nil {
		why = gone
	} else {
		x.engine.dropLocked(x.en, why)
	}
	x.en.mu.Unlock()
	x.flight.finish(nil, why)
}

// keepGrant stores the grant that came with a value which came too late.
func (x *fetch) keepGrant() *NewerError {
	err := x.commit()
	newer := newerIn(err)
	if newer == nil && err != nil && !pending(err) {
		x.engine.log.Error("cannot write a grant: it is in force in memory and written when that is possible", "name", x.spec.Grant, "error", err)
	}
	return newer
}

// verdict is what a failure calls for.
type verdict struct {
	hold  *hold
	now   clock.Instant // of the failure
	valid bool          // a value is served on
	keep  bool          // the hold outlives the run
	moot  bool          // what was refused is not what is configured or in force now: ask again at once
}

// judge returns what err calls for. If an operator wanted a call in a hold and it could not be
// made, the hold continues, and judge returns the reply instead.
func (x *fetch) judge(err error) (v verdict, reply *credential.Error) {
	e, en, wall := x.engine, x.en, x.engine.clock.Time()
	superseded := x.superseded(x.refusesGrant(err))
	v.now = e.clock.Now()
	en.mu.Lock()
	defer en.mu.Unlock()
	if pe, ok := errors.AsType[*parentError](err); ok && en.paused(v.now) != nil {
		return v, pe.reply(en.hold.err(v.now))
	}
	failures := en.hold.failed()
	if en.hold == nil || en.hold.since <= x.beganBefore(v.now) {
		failures++ // else it comes from a call beside this one
	}
	v.valid = en.valid(v.now) != nil
	v.hold, v.keep = e.holdFor(err, x.spec, failures, en, v.valid, v.now, wall)
	v.moot = en.gone() != nil || e.reconfigured(x.spec) || superseded && v.hold.reason == credential.Reauth
	v.keep = v.keep && !x.spec.Policy.PerAsk && !v.moot
	if v.keep {
		en.noteRecord()
	}
	x.attempt.Outcome, x.attempt.ErrCode, x.attempt.RID = v.hold.reason.String(), v.hold.errcode, v.hold.rid
	return v, nil
}

// beganBefore returns when the flight began that has failed at now.
func (x *fetch) beganBefore(now clock.Instant) clock.Instant { return now.Add(-x.attempt.Took) }

// keepHold writes the hold of v. The other hosts do not get a hold that concerns this host alone,
// nor any if an earlier call may have had another outcome.
func (x *fetch) keepHold(v verdict) *NewerError {
	if !v.keep || x.shares() && (x.permit.claim == nil || x.permit.sent || v.hold.local()) {
		return nil
	}
	err := x.permit.landed(x.lands().Put(context.Background(), x.engine.keepHold(x.en.name, v.hold)))
	newer := newerIn(err)
	if newer == nil && err != nil && !errors.Is(err, ErrUnconfirmed) {
		x.engine.log.Error("cannot write a hold: it holds for this run", "name", x.en.name, "error", err)
	}
	return newer
}

// conclude ends the flight with v, and returns why the entry is out of service, if it is.
func (x *fetch) conclude(v *verdict, err error) (gone *credential.Error) {
	e, en := x.engine, x.en
	en.mu.Lock()
	defer en.mu.Unlock()
	ended := flightFailed{hold: v.hold, began: x.beganBefore(v.now), attempt: x.attempt}
	if v.moot = v.moot || e.reconfigured(x.spec); v.moot {
		ended.hold = nil
	}
	// The parent bounds the calls, so its error is returned, not this bound.
	_, parental := errors.AsType[*parentError](err)
	ended.unpaid = parental && x.flight.paid
	gone = e.applyLocked(en, ended, v.now)
	if gone == nil && en.hold == v.hold {
		e.sleepLocked(en, x.spec.Parent, x.parent, v.now)
	}
	return gone
}

// reply returns the error for the waiters of the flight that has failed with err.
func (v *verdict) reply(gone *credential.Error, err error) *credential.Error {
	held := v.hold.err(v.now)
	switch pe, ok := errors.AsType[*parentError](err); {
	case gone != nil:
		return gone
	case v.moot:
		return errChanged
	case ok:
		return pe.reply(held) // the parent's own hold says when to come back, not the child's pause
	}
	return held
}

// superseded reports whether another grant is in force than that of the call, or, if WeChat has
// refused it, whether the grant of a late answer has come that was not tried. The grant's name is
// locked.
func (x *fetch) superseded(refused bool) bool {
	if x.spec.Grant == "" {
		return false
	}
	grant, err := x.engine.grants.get(x.spec.Grant)
	return err == nil && grant.Live() && (grant.Value != x.grant || refused && x.newestLate(&grant) >= 0)
}

// holdFor returns the hold that err calls for, and whether it is kept over
// restarts. en.mu is held.
func (e *Engine) holdFor(err error, spec *Spec, failures int, en *entry, valid bool, now clock.Instant, wall time.Time) (h *hold, keep bool) {
	quotas := 0
	if en.hold != nil {
		quotas = en.hold.quotas
	}
	if pe, ok := errors.AsType[*parentError](err); ok {
		h := &hold{reason: credential.Unreachable, message: pe.Error(), failures: failures, quotas: quotas, settings: spec.Settings, since: now, derived: true}
		if of, ok := errors.AsType[*credential.Error](pe.err); ok {
			h.reason, h.message = of.Reason, of.Message
		} else if _, own := errors.AsType[*faultError](pe.err); own {
			h.reason, h.message = credential.Internal, ownFault
		}
		// Asked again of itself, without a call while the parent is held; a parent
		// that recovers wakes it sooner.
		h.until = now.Add(max(atMostQuarter(5*time.Minute, en.life()), soonest))
		return h, false
	}
	if oe, ok := errors.AsType[*endpointError](err); ok {
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
	h = failed(err, failures, life, spec.Policy.Rotates && valid, en.spread(), now)
	h.settings = spec.Settings
	h.count(quotas)
	h.shorten(e.host(spec))
	switch {
	case h.until == never && !e.awaits(spec, h):
		h.toOperator()
	case h.reason == credential.Limited:
		if api, ok := errors.AsType[*fetchers.APIError](err); ok && api.Reaction == fetchers.QuotaDay && e.spentToday(spec, now, wall) {
			h.untilTomorrow(wall, en.spread())
		}
	}
	return h, h.reason != credential.Internal
}

// awaits reports whether something may come by itself that ends h, which no time does.
func (e *Engine) awaits(spec *Spec, h *hold) bool {
	switch h.reason {
	case credential.Reauth:
		return spec.Grant != ""
	case credential.NoTicket:
		parent, err := e.lookup(spec.Parent)
		return err == nil && parent.Policy.Pushed > 0
	}
	return false
}

// logFailure logs the first failure of a row and then each doubling, so that an
// outage of a night is a dozen lines and not a thousand.
func (e *Engine) logFailure(en *entry, h *hold, a credential.Attempt, err error, valid bool, now clock.Instant) {
	if bits.OnesCount(uint(h.failures)) != 1 {
		return
	}
	message := h.message
	if h.reason == credential.Internal {
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
