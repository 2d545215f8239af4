package refresh

import (
	"context"
	"errors"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// redeem exchanges x, repeatedly if that was promised.
func (e *Engine) redeem(x *exchange) {
	for again := !x.noted; ; again = true {
		if again && !e.tryAgain(x) {
			e.conclude(x, stopping()) // the code stays on disk for the next run
			return
		}
		var p permit
		onboarding, err := (*e.catalog.Load()).Onboarding(x.owner)
		if err != nil {
			if e.abandon(x) {
				return
			}
			continue
		}
		err = e.redeemOnce(x, &onboarding, &p)
		ends := e.endTry(x, &onboarding, &p, err)
		p.give(e, x.key)
		if ends {
			return
		}
	}
}

// abandon ends x if its owner is still out of the configuration. If it comes back later, resume
// finds the code.
func (e *Engine) abandon(x *exchange) bool {
	e.codes.mu.Lock()
	defer e.codes.mu.Unlock()
	_, err := (*e.catalog.Load()).Onboarding(x.owner)
	if err != nil && !x.ended {
		x.err = err
		e.codes.endLocked(x)
	}
	return err != nil
}

// conclude ends x without its having been settled.
func (e *Engine) conclude(x *exchange, why error) {
	e.codes.mu.Lock()
	defer e.codes.mu.Unlock()
	if x.ended {
		return // because of another host
	}
	x.err = why
	e.codes.endLocked(x)
}

// endTry takes over how a try of x has ended, and reports whether it was the last.
func (e *Engine) endTry(x *exchange, onboarding *Onboarding, p *permit, err error) bool {
	e.codes.mu.Lock()
	over, name := x.ended, x.name
	e.codes.mu.Unlock()
	switch {
	case over:
		return true // because of another host
	case name != "":
		e.codes.mu.Lock()
		if x.ended {
			e.codes.mu.Unlock()
			return true
		}
		x.err, x.unsaved = err, err != nil
		promised := x.until != 0
		e.codes.endLocked(x)
		e.codes.mu.Unlock()
		if err != nil {
			e.log.Error("a customer's grant cannot be written: it is in force in memory and written when that is possible", "name", x.name, "error", err)
			return true
		}
		e.log.Info("customer authorized", "name", x.name)
		if promised {
			e.dropCode(x) // also if it was promised while the grant was written
		}
		e.retireSpent()
		return true
	}
	told, class, wait, passing := e.classify(x, onboarding, err)
	if lost, ok := errors.AsType[*fetchers.TransportError](err); ok && lost.Sent {
		e.outdateFor(x)
	}
	log := e.log.Warn
	_, others := errors.AsType[*peersError](err)
	if others {
		log = e.log.Debug // no call was made
	}
	log("an authorization code could not be exchanged", append([]any{"owner", x.owner, "reason", told.Reason.String(),
		"error", told.Message, "tries", x.tries}, said(err)...)...)
	now, stopped := e.clock.Now(), e.base.Err() != nil

	e.codes.mu.Lock()
	if x.ended {
		e.codes.mu.Unlock()
		return true
	}
	x.err, x.useless = told, class == fetchers.CodeRefused
	until, useless := x.until, x.useless
	x.next = x.inTimeLocked(now.Add(wait), now)
	ends := stopped || until == 0 || !passing || x.next > until
	if ends {
		e.codes.endLocked(x)
	} else {
		x.pause = &retryPause{told, x.next}
		if told.RetryAfter == credential.Never {
			x.pause.over = never
		}
		close(x.tried)
	}
	e.codes.mu.Unlock()

	p.sent = p.sent && until != 0 // nobody else tries what was not promised
	switch {
	case ends && until != 0 && !stopped, useless && p.claim != nil:
		e.endCode(x, p)
		if useless && (x.tries > 1 || x.shared) {
			e.outdateFor(x) // the answer to an earlier try may have been lost, by another host or run
		}
	case !ends && !others:
		p.give(e, x.key)
		e.writeCode(x, until)
	}
	return ends
}

// lastTry is how long before its end a code is tried again, whatever it waits for.
const lastTry = 30 * time.Second

// inTimeLocked returns when x, which would be tried at next, is tried to be in time. Near its end
// the pauses are half of what is left, while another code's last try may find out that the cause of
// a hold is over. codes.mu is held.
func (x *exchange) inTimeLocked(next, now clock.Instant) clock.Instant {
	last := x.until.Add(-lastTry)
	switch left := x.until.Sub(now); {
	case x.until == 0 || next <= last:
	case now < last:
		return last
	case left > 2*time.Second:
		return min(next, now.Add(left/2))
	}
	return next
}

// urgent reports whether x's time is running out.
func (e *Engine) urgent(x *exchange) bool {
	e.codes.mu.Lock()
	defer e.codes.mu.Unlock()
	return x.until != 0 && e.clock.Now() >= x.until.Add(-lastTry)
}

// tryAgain waits for x's next try, or for what x lacks, and notes that the
// try is being made; false: the engine is stopping.
func (e *Engine) tryAgain(x *exchange) bool {
	if x.next > e.clock.Now() && !e.codes.paused(x) && (e.cfg.Peers == nil || x.tries > 1) {
		e.pauseOn(x) // else another host has just got it, and it has not failed yet
	}
	wait := max(x.next.Sub(e.clock.Now()), 0)
	var woken <-chan struct{}
	if x.waits != "" {
		woken = e.codes.await(x.waits, x)
		defer e.codes.forgo(x.waits, x)
		// A parent publishes its value before it wakes who waits, an endpoint that it is free: one
		// of the two is seen.
		if e.usable(x.waits) || endpointOwner(x.waits) != "" && !e.endpoints.holds(x.waits) {
			wait = min(wait, soonest)
		}
	}
	e.codes.mu.Lock()
	settled, over := x.settled, x.ended
	e.codes.mu.Unlock()
	if over {
		return false
	}
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-woken:
		case <-settled:
			return false
		case <-e.base.Done():
			return false
		}
	}
	x.waits = ""
	e.trying(x)
	e.codes.mu.Lock()
	if x.ended {
		e.codes.mu.Unlock()
		return false
	}
	x.err = nil
	if x.pause != nil {
		x.pause, x.tried = nil, make(chan struct{})
	}
	until := x.until
	e.codes.mu.Unlock()
	if until != 0 && e.cfg.Peers == nil { // else the claim has it
		e.writeCode(x, until)
	}
	return true
}

// pauseOn makes x wait on, as in an earlier run.
func (e *Engine) pauseOn(x *exchange) {
	now := e.clock.Now()
	told := &credential.Error{Reason: credential.Unreachable, Message: "the authorization code could not be exchanged yet"}
	if onboarding, err := (*e.catalog.Load()).Onboarding(x.owner); err == nil {
		if h := e.endpoints.of(x.owner, exchanges).paused(e.settings(onboarding.Parent), now, false); h != nil {
			x.waits, x.next, told = x.owner+exchanges, h.until, h.err(now)
		}
	}
	e.codes.mu.Lock()
	defer e.codes.mu.Unlock()
	if x.ended { // by another host
		return
	}
	x.next = x.inTimeLocked(x.next, now)
	x.pause = &retryPause{told, x.next}
	close(x.tried)
}

// trying notes that x is being tried, and when it may be again if the daemon dies in it.
func (e *Engine) trying(x *exchange) {
	x.tries++
	x.next = e.clock.Now().Add(backoff(x.tries, 0, false, spreadOf(x.key)))
}

// classify returns what a failed exchange calls for: the error for its callers, how long to
// wait with the next try, and whether waiting can help.
func (e *Engine) classify(x *exchange, onboarding *Onboarding, err error) (told *credential.Error, class fetchers.Reaction, wait time.Duration, passing bool) {
	now := e.clock.Now()
	if of, ok := errors.AsType[*credential.Error](err); ok {
		// The parent's trouble: it knows when it asks again, and no call is made before. It may be
		// over sooner, and then wakes x.
		x.waits = onboarding.Parent
		return of, 0, min(max(of.RetryAfter, 10*time.Second), time.Minute), true
	}
	if g, ok := errors.AsType[*guardError](err); ok {
		return g.reply, 0, g.reply.RetryAfter, true
	}
	if p, ok := errors.AsType[*peersError](err); ok {
		return p.reply, 0, p.wait, true
	}
	if oe, ok := errors.AsType[*endpointError](err); ok {
		x.waits = x.owner + exchanges
		told = oe.hold.err(now)
		return told, oe.hold.class, max(told.RetryAfter, time.Second), true
	}
	h := failed(err, x.tries, 0, false, spreadOf(x.key), now)
	switch h.class {
	case 0, fetchers.Retry, fetchers.ParentDead:
		passing = true
	}
	wait = credential.Never
	if passing && h.until != never {
		wait = max(h.until.Sub(now), time.Second)
	}
	return &credential.Error{Reason: h.reason, RetryAfter: wait, Message: h.message}, h.class, wait, passing
}

// redeemOnce exchanges x once and keeps what comes of it.
func (e *Engine) redeemOnce(x *exchange, onboarding *Onboarding, p *permit) error {
	if err := e.claimCode(x, p); err != nil {
		return err
	}
	// A code is used up by the call: what comes back must not be lost to a stop.
	ctx := context.WithoutCancel(e.base)
	var auth fetchers.Authorization
	sent := e.clock.Now()
	changed, end := e.grants.watch()
	defer func() { end() }()
	o := e.endpoints.of(x.owner, exchanges)
	err := e.through(ctx, o, onboarding, e.urgent(x), func(ctx context.Context, parent secret.Text) (err error) {
		end() // of a call before, or of the waiting for this one
		changed, end = e.grants.watch()
		if err := p.begin(e); err != nil {
			return err
		}
		sent = e.clock.Now()
		auth, err = onboarding.Exchanger.Exchange(ctx, parent, x.value)
		p.answered(err)
		return err
	})
	if err == errTooLate {
		return &peersError{reply: errContended, wait: time.Second}
	}
	if err != nil {
		return err
	}
	return e.adopt(ctx, x, onboarding, auth, sent, changed, p)
}
