package refresh

import (
	"context"
	"errors"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers"
)

// adopt keeps a customer's grant, its first token if one came, and that the code was exchanged, in
// one step; then it puts them in force. What the disk refuses is in force all the same: the code
// has been used up, and nothing else is left of the customer's authorization. A grant that has
// changed since the call and is of a later authorization stays, with this one behind it, which is
// tried if WeChat refuses the other: WeChat may have answered this call last.
func (e *Engine) adopt(ctx context.Context, x *exchange, onboarding *Onboarding, auth fetchers.Authorization, sent clock.Instant, changed *grantWatch, p *permit) error {
	token := onboarding.Token(auth.Child)
	var came, first, cut *cached
	if auth.Token != nil {
		came = &cached{text: auth.Token.Value, issued: sent, seen: sent, end: sent.Add(auth.Token.ExpiresIn), life: auth.Token.ExpiresIn}
	}
	given, promised := e.codes.given(x)
	next := record.Generation{Value: auth.Grant, At: given, Source: fromExchange}
	if promised {
		next.Source = fromEvent
	}
	a := &amendment{grant: onboarding.Grant(auth.Child), concerns: token, frees: true, stubborn: true}
	spent := e.spend(x, auth.Child)
	spec, unknown := e.lookup(token)
	due := false
	a.apply = func(g *record.Grant) bool {
		revoked := g.Revoked
		first, cut = came, nil
		// WeChat may have answered either call last.
		due = changed.has(a.grant) || changed.has(token) || e.fetching(token)
		switch {
		case came == nil:
			due = g.Value != next.Value
		case due && unknown == nil && spec.Policy.Rotates:
			first = came.until(sent.Add(overlap)) // whatever becomes of this run
		}
		switch now := e.clock.Time(); {
		case changed.has(a.grant) && outranks(authorized(g), next.At, now):
			late := next
			late.Source = fromOffer
			g.Shelve(late)
			first = nil
			if due && unknown == nil && spec.Policy.Rotates {
				cut = e.valueBefore(&spec, sent.Add(overlap))
			}
		case promised && outranks(revoked, next.At, now):
			// The customer took it back after this event: the event is history.
			renew(g, next, now)
			g.Revoked = revoked
		default:
			readmit(g, next, now)
		}
		a.with = []record.Record{spent, {Table: record.Codes, Key: x.key}}
		if first != nil && g.Live() {
			a.with = append(a.with, e.keep(token, "", first))
		}
		if cut != nil && g.Live() {
			a.with = append(a.with, e.keep(token, spec.Target, cut))
		}
		return true
	}
	a.then = func() {
		if a.after.Live() {
			if cut != nil {
				e.cut(token, cut)
			}
			e.install(token, first, due, a.refused != nil)
			e.watchers.tell(credential.Listing{Name: a.grant, State: credential.Fresh})
		}
	}
	var to putter = e.cfg.Store
	if p.claim != nil {
		to = lander{p.claim, p.rotates}
	}
	err := p.landed(e.amendBy(ctx, to, a))
	if newer := newerIn(err); newer != nil && errors.Is(newer, ErrOvertaken) {
		e.Follow(newer.Records...)
		e.outdate(a.grant)
		err = nil // the grant is an earlier generation now
	}
	if !a.applies {
		return err // the grant could not be read: nothing is known of it
	}
	e.codes.brought(x, x.owner+"/"+auth.Child, a.grant)
	e.wakeChildren(token)
	return err
}

// valueBefore returns the value of spec if it is stored, and lasts longer than until end. It ends
// then: a call may have replaced it, and is not known to have. It returns nil if there is none. The
// name is locked.
func (e *Engine) valueBefore(spec *Spec, end clock.Instant) *cached {
	c, err := e.storedValue(spec)
	if err != nil || c == nil || c.end <= end {
		return nil
	}
	return c.until(end)
}

// cut lets the value of name end like c, if it is the same. The name is locked.
func (e *Engine) cut(name string, c *cached) {
	en := e.index.get(name)
	if en == nil {
		return
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	if now := en.current.Load(); now != nil && now.text == c.text && c.end < now.end {
		e.applyLocked(en, valueCut{now.until(c.end)}, e.clock.Now())
	}
}

// outdateFor is outdate of the grant that x is to bring, if its customer is known.
func (e *Engine) outdateFor(x *exchange) {
	e.codes.mu.Lock()
	grant := x.grant
	e.codes.mu.Unlock()
	if grant != "" {
		e.outdate(grant)
	}
}

// outdate makes due what rotates with grant. An exchange may have replaced it and the grant, and
// its answer is lost, or came too late. WeChat accepts the previous grant for a few minutes.
func (e *Engine) outdate(grant string) {
	for _, name := range (*e.catalog.Load()).Dependants(grant) {
		spec, err := e.lookup(name)
		if err != nil || !spec.Policy.Rotates {
			continue
		}
		en, err := e.entry(name)
		if err != nil {
			continue // the customer must authorize again
		}
		en.mu.Lock()
		now := e.clock.Now()
		e.applyLocked(en, grantReplaced{now}, now)
		en.mu.Unlock()
	}
}

// fetching reports whether a flight of name is under way.
func (e *Engine) fetching(name string) bool {
	en := e.index.get(name)
	if en == nil {
		return false
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	return en.flight != nil
}

// until returns c, which ends at end at the latest.
func (c *cached) until(end clock.Instant) *cached {
	cut := *c
	cut.end = min(c.end, end)
	return &cut
}

// unread makes an entry of name if a value is stored that other hosts serve: what nobody has read
// here has none. It returns nil if there is no such value.
func (e *Engine) unread(name string) *entry {
	spec, err := e.lookup(name)
	if err != nil || e.cfg.Peers == nil {
		return nil
	}
	if c, err := e.storedValue(&spec); c == nil && err == nil {
		return nil
	}
	en, err := e.entry(name)
	if err != nil {
		return nil // out of the configuration this moment
	}
	return en
}

// install puts a customer's first token in force, if one came, in place of whatever was known under
// the name. due: what is known then is fetched again, unless WeChat repeats the first one.
// volatile: the disk has refused the first one. The name is locked.
func (e *Engine) install(name string, first *cached, due, volatile bool) {
	now := e.clock.Now()
	en := e.index.get(name)
	if first == nil {
		if en == nil && due {
			en = e.unread(name)
		}
		if en != nil && due {
			en.mu.Lock()
			e.applyLocked(en, grantReplaced{now}, now)
			en.mu.Unlock()
		}
		return
	}
	if en != nil {
		en.mu.Lock()
		if en.flight != nil {
			// It was made with the grant before, and must not land on this one. WeChat may answer
			// it last.
			due = true
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
	if en.flight != nil {
		return // somebody was quicker, with the same grant
	}
	en.touch(now)
	gone := e.applyLocked(en, valuePublished{
		value: first, refresh: refreshAt(en.policy(), first, en.spread(), now, false), refused: volatile,
		attempt: credential.Attempt{At: e.clock.Time().UTC(), Cause: credential.CausePush, Outcome: "ok"},
	}, now)
	switch {
	case gone != nil:
		return
	case volatile:
		e.unsaved.add(en)
	}
	if due && en.policy().Rotates {
		e.applyLocked(en, grantReplaced{now}, now)
	}
}
