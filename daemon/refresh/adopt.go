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
// changed since the call and is of a later authorization stays, with this one behind it.
func (e *Engine) adopt(ctx context.Context, x *exchange, onboarding *Onboarding, auth fetchers.Authorization, sent clock.Instant, changed *grantWatch, p *permit) error {
	token := onboarding.Token(auth.Child)
	var came, first *cached
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
	renewed := false
	a.apply = func(g *record.Grant) bool {
		revoked := g.Revoked
		first = came
		renewed = g.Value != next.Value
		switch now := e.clock.Time(); {
		case changed.has(a.grant) && outranks(authorized(g), next.At, now):
			g.Shelve(next)
			first, renewed = nil, renewed || came != nil // WeChat may have answered this call last
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
		return true
	}
	a.then = func() {
		if a.after.Live() {
			e.install(token, first, renewed, a.refused != nil)
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
		err = nil // the grant is an earlier generation now
	}
	if !a.applies {
		return err // the grant could not be read: nothing is known of it
	}
	e.codes.brought(x, x.owner+"/"+auth.Child, a.grant)
	e.wakeChildren(token)
	return err
}

// outdate makes due what rotates with the grant of x, if its customer is known. The exchange may
// have replaced it and the grant, and its answer is lost. WeChat accepts the previous grant for a
// few minutes.
func (e *Engine) outdate(x *exchange) {
	e.codes.mu.Lock()
	grant := x.grant
	e.codes.mu.Unlock()
	if grant == "" {
		return
	}
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
		e.applyLocked(en, grantReplaced{}, e.clock.Now())
		en.mu.Unlock()
	}
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

// install puts a customer's first token in force, in place of whatever was known under the name.
// Without one, a known token is fetched again if its grant has changed. volatile: the disk has
// refused it. The name is locked.
func (e *Engine) install(name string, first *cached, renewed, volatile bool) {
	now := e.clock.Now()
	en := e.index.get(name)
	if first == nil {
		if en == nil && renewed {
			en = e.unread(name)
		}
		if en != nil && renewed {
			en.mu.Lock()
			e.applyLocked(en, grantReplaced{}, now)
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
	if en.flight != nil {
		return // somebody was quicker, with the same grant
	}
	en.touch(now)
	gone := e.applyLocked(en, valuePublished{
		value: first, refresh: refreshAt(en.policy(), first, en.spread(), now, false), refused: volatile,
		attempt: credential.Attempt{At: e.clock.Time().UTC(), Cause: credential.CausePush, Outcome: "ok"},
	}, now)
	if gone == nil && volatile {
		e.unsaved.add(en)
	}
}
