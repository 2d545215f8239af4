package refresh

import (
	"context"
	"errors"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// redeem exchanges x, again and again if that was promised.
func (e *Engine) redeem(x *exchange, way Onboarding) {
	defer e.conclude(x)
	for again := !x.noted; ; again = true {
		if again && !e.tryAgain(x, way.Parent) {
			x.err = stopping()
			return // the code stays on disk for the next run
		}
		err := e.redeemOnce(x, way)
		switch {
		case err == nil:
			e.log.Info("customer authorised", "name", x.name)
			return
		case x.grant != "":
			x.err = err
			e.log.Error("a customer's grant cannot be written: it is in force in memory and written when that is possible", "name", x.name, "error", err)
			return
		}
		told, h, wait, passing := e.misfortune(x, err)
		x.useless = h.class == fetchers.CodeRefused
		x.err = told
		e.log.Warn("an authorization code could not be exchanged", "owner", x.owner, "reason", told.Reason.String(), "error", told.Message, "tries", x.tries)
		if e.base.Err() != nil {
			return // likewise
		}
		x.next = e.clock.Now().Add(wait)
		until, promised := e.goesOn(x)
		if !promised {
			return
		}
		if !passing || x.next > until {
			e.dropCode(x)
			return
		}
		e.writeCode(x, until)
	}
}

// goesOn returns until when x has been promised to be tried, if it has. Otherwise it has
// ended: whoever comes with the same code begins another, unless none can help.
func (e *Engine) goesOn(x *exchange) (until clock.Instant, promised bool) {
	e.codes.mu.Lock()
	defer e.codes.mu.Unlock()
	x.ended = x.until == 0 && !x.useless
	return x.until, x.until != 0
}

// promise returns until when x has been promised to be tried, if it has.
func (e *Engine) promise(x *exchange) (until clock.Instant, promised bool) {
	e.codes.mu.Lock()
	defer e.codes.mu.Unlock()
	return x.until, x.until != 0
}

// conclude ends x.
func (e *Engine) conclude(x *exchange) {
	e.codes.mu.Lock()
	defer e.codes.mu.Unlock()
	x.ended = true
	close(x.done)
}

// tryAgain waits for x's next try, or for parent if that is what x lacks, and notes that the
// try is being made; false: the engine is stopping.
func (e *Engine) tryAgain(x *exchange, parent string) bool {
	wait := max(x.next.Sub(e.clock.Now()), 0)
	var woken <-chan struct{}
	if x.orphan {
		woken = e.codes.await(parent, x)
		defer e.codes.forgo(parent, x)
		// The parent publishes its value before it wakes who waits: one of the two is seen.
		if e.usable(parent) {
			wait = min(wait, soonest)
		}
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-woken:
	case <-e.base.Done():
		return false
	}
	x.orphan = false
	x.err = nil
	e.trying(x)
	if until, promised := e.promise(x); promised {
		e.writeCode(x, until)
	}
	return true
}

// trying notes that x is being tried, and when it may be again if the daemon dies in it.
func (e *Engine) trying(x *exchange) {
	x.tries++
	x.next = e.clock.Now().Add(backoff(x.tries, 0, false, spread(x.key)))
}

// writeCode writes how x stands.
func (e *Engine) writeCode(x *exchange, until clock.Instant) {
	if err := e.cfg.Store.Put(context.Background(), e.keepCode(x, until)); err != nil {
		e.log.Error("cannot write that an authorization code was tried: it counts for this run", "owner", x.owner, "error", err)
	}
}

// dropCode gives up a promised code.
func (e *Engine) dropCode(x *exchange) {
	if err := e.forget([]record.Record{{Table: record.Codes, Key: x.key}}); err != nil {
		e.log.Error("cannot delete an authorization code that is of no use any more", "owner", x.owner, "error", err)
	}
}

// misfortune says what a failed exchange calls for: what is told to who asked for it, how long to wait
// with the next try, and whether waiting can help.
func (e *Engine) misfortune(x *exchange, err error) (told *Error, h *hold, wait time.Duration, passing bool) {
	now := e.clock.Now()
	h = failed(err, x.tries, 0, false, spread(x.key), now)
	if of, ok := errors.AsType[*Error](err); ok {
		// The parent's trouble: it knows when it asks again, and no call is made before. It may be
		// over sooner, and then wakes x.
		x.orphan = true
		return of, h, min(max(of.RetryAfter, 10*time.Second), time.Minute), true
	}
	if g, ok := errors.AsType[*guardError](err); ok {
		return g.reply, h, g.reply.RetryAfter, true
	}
	switch h.class {
	case 0, fetchers.Retry, fetchers.ParentDead, fetchers.AddressRefused:
		passing = true
	default:
		passing = h.reason == Limited
	}
	wait = Never
	if passing && h.until != never {
		wait = max(h.until.Sub(now), time.Second)
	}
	return &Error{Reason: h.reason, RetryAfter: wait, Message: h.message}, h, wait, passing
}

// redeemOnce exchanges x once and keeps what comes of it.
func (e *Engine) redeemOnce(x *exchange, way Onboarding) error {
	// A code is used up by the call: what comes back must not be lost to a stop.
	ctx := context.WithoutCancel(e.base)
	var auth fetchers.Authorization
	sent := e.clock.Now()
	w := &wants{parent: way.Parent, tries: quickTries, life: day, spread: spread(x.key)}
	err := e.ask(ctx, w, func(parent secret.Text) error {
		return e.slot(ctx, e.host(&policies[0], way.Parent), awaited, false, func(ctx context.Context) (err error) {
			if err := e.alive(way.Parent, parent); err != nil {
				return err
			}
			sent = e.clock.Now()
			auth, err = way.Exchanger.Exchange(ctx, parent, x.value)
			return err
		})
	})
	if err != nil {
		return err
	}
	return e.adopt(ctx, x, way, auth, sent)
}

// adopt keeps a customer's grant, its first token if one came, and forgets the code, in
// one step; then it puts them in force. What the disk refuses is in force all the same: the
// code has been used up, and nothing else is left of the customer's authorization.
func (e *Engine) adopt(ctx context.Context, x *exchange, way Onboarding, auth fetchers.Authorization, sent clock.Instant) error {
	token := way.Token(auth.Child)
	var first *credential
	if auth.Token != nil {
		first = &credential{text: auth.Token.Value, issued: sent, seen: sent, end: sent.Add(auth.Token.ExpiresIn), life: auth.Token.ExpiresIn}
	}
	_, promised := e.promise(x)
	a := &amendment{grant: way.Grant(auth.Child), concerns: token, frees: true, stubborn: true}
	renewed := false
	a.apply = func(g *record.Grant) bool {
		revoked := g.Revoked
		next := record.Generation{Value: auth.Grant, At: x.at, Source: fromExchange}
		if promised {
			next.Source = fromEvent
		}
		renewed = g.Value != next.Value
		if now := time.Now(); promised && outranks(revoked, next.At, now) {
			// The customer took it back after this event: the event is history.
			renew(g, next, now)
			g.Revoked = revoked
		} else {
			readmit(g, next, now)
		}
		a.with = []record.Record{{Table: record.Codes, Key: x.key}}
		if first != nil && g.Live() {
			a.with = append(a.with, e.keep(token, first))
		}
		return true
	}
	a.then = func() {
		if a.after.Live() {
			e.install(token, first, renewed, a.refused != nil)
			e.watchers.tell(Listing{Name: a.grant, State: Fresh})
		}
	}
	err := e.amend(ctx, a)
	if !a.applies {
		return err // the grant could not be read: nothing is known of it
	}
	x.name = x.owner + "/" + auth.Child
	if err != nil {
		x.grant = a.grant
	}
	e.wakeChildren(token)
	return err
}

// install puts a customer's first token in force, in place of whatever was known under the
// name. Without one, a known token is fetched anew if its grant has changed. volatile: the disk has
// refused it. It is called in the name's turn.
func (e *Engine) install(name string, first *credential, renewed, volatile bool) {
	now := e.clock.Now()
	en := e.index.get(name)
	if first == nil {
		if en != nil && renewed {
			en.mu.Lock()
			en.outdated, en.refresh = true, now
			e.planLocked(en, now)
			en.mu.Unlock()
		}
		return
	}
	if en != nil {
		en.mu.Lock()
		if en.flight != nil {
			// It was made with the grant before, and must not land on this one.
			e.dropLocked(en, errChanged)
		}
		en.mu.Unlock()
	}
	en, err := e.entry(name)
	if err != nil {
		return // out of the configuration this moment
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.flight != nil || en.gone() != nil {
		return // somebody was quicker, with the same grant
	}
	en.touch(now)
	en.hold, en.written, en.volatile, en.outdated, en.started = nil, false, volatile, false, false
	en.current.Store(first)
	en.remember(Attempt{At: time.Now().UTC(), Cause: CausePush, Outcome: "ok"})
	en.refresh = refreshAt(en.policy(), first, en.spread(), now, false)
	e.tellLocked(en, now, true)
	e.planLocked(en, now)
	if volatile {
		e.unsaved.add(en)
	}
}
