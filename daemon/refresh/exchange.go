package refresh

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// codes is the authorization codes that are being exchanged, or have just been. The same
// code comes on several ways (the event, its repetitions, the redirect of the browser)
// and can be used once. Its zero value is ready.
type codes struct {
	mu    sync.Mutex
	known map[string]*exchange // by key
}

// codesKnown bounds how many exchanged codes are remembered.
const codesKnown = 4096

// exchange is one code's way to a grant.
type exchange struct {
	owner string
	code  record.Code
	key   string

	// promised: WeChat was told that the code has arrived, so it is tried until
	// it is of no use any more, over restarts too. Otherwise somebody waits who can
	// try again. Guarded by codes.mu.
	promised bool

	// done is closed at the end; what follows is set before.
	done    chan struct{}
	name    string
	err     error
	useless bool // WeChat does not know the code, or not any more: no call helps
}

func codeKey(owner string, code secret.Text) string {
	sum := sha256.Sum256([]byte("tokend code\x00" + owner + "\x00" + string(code)))
	return hex.EncodeToString(sum[:16])
}

// Exchange turns an authorization code into a grant of owner's and returns the name
// owner/child. The grant is durable then, and the customer's token can be asked for. A code that
// is being exchanged, or just has been, is not sent a second time. ctx bounds the
// waiting, not the exchange.
func (e *Engine) Exchange(ctx context.Context, owner string, code secret.Text) (name string, err error) {
	x, err := e.begin(record.Code{Owner: owner, Value: code, At: time.Now()}, false)
	if err != nil {
		return "", err
	}
	select {
	case <-x.done:
		return x.name, x.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Accept takes on an authorization code that WeChat has sent at the time at and that is
// of use until until. It returns when the code is on disk; the exchange follows, is
// tried again after passing faults, and goes on after a restart.
func (e *Engine) Accept(ctx context.Context, owner string, code secret.Text, at, until time.Time) error {
	if _, err := (*e.catalog.Load()).Onboarding(owner); err != nil {
		return err
	}
	key := codeKey(owner, code)
	e.codes.mu.Lock()
	x := e.codes.known[key]
	e.codes.mu.Unlock()
	if x != nil && x.ended() && (x.err == nil || x.useless) {
		return nil // WeChat repeats itself
	}
	c := record.Code{Owner: owner, Value: code, At: believed(at, time.Now()), Until: until}
	if err := e.cfg.Store.Put(ctx, c.Encode(key)); err != nil {
		return fmt.Errorf("keep an authorization code: %w", err)
	}
	_, err := e.begin(c, true)
	return err
}

func (x *exchange) ended() bool {
	select {
	case <-x.done:
		return true
	default:
		return false
	}
}

// begin returns the exchange of c: the one that is under way or has succeeded, or a
// new one.
func (e *Engine) begin(c record.Code, promised bool) (*exchange, error) {
	way, err := (*e.catalog.Load()).Onboarding(c.Owner)
	if err != nil {
		return nil, err
	}
	key := codeKey(c.Owner, c.Value)
	e.codes.mu.Lock()
	defer e.codes.mu.Unlock()
	if x := e.codes.known[key]; x != nil && (!x.ended() || x.err == nil || x.useless) {
		x.promised = x.promised || promised
		return x, nil
	}
	x := &exchange{owner: c.Owner, code: c, key: key, promised: promised, done: make(chan struct{})}
	e.life.Lock()
	defer e.life.Unlock()
	if e.stopped {
		return nil, stopping()
	}
	e.codes.remember(x)
	e.flights.Go(func() { e.redeem(x, way) })
	return x, nil
}

// remember adds x, at the cost of some other that has ended. mu is held.
func (cs *codes) remember(x *exchange) {
	if cs.known == nil {
		cs.known = map[string]*exchange{}
	}
	for key, old := range cs.known {
		if len(cs.known) < codesKnown {
			break
		}
		if old.ended() {
			delete(cs.known, key)
		}
	}
	cs.known[x.key] = x
}

// redeem exchanges x, again and again if that was promised.
func (e *Engine) redeem(x *exchange, way Onboarding) {
	defer close(x.done)
	for failures := 1; ; failures++ {
		child, err := e.redeemOnce(x, way)
		if err == nil {
			x.name = x.owner + "/" + child
			e.log.Info("customer authorised", "name", x.name)
			return
		}
		e.codes.mu.Lock()
		promised := x.promised
		e.codes.mu.Unlock()
		h := failed(err, failures, 0, false, spread(x.key), e.clock.Now(), time.Now())
		wait := max(h.until.Sub(e.clock.Now()), time.Second)
		if of, ok := errors.AsType[*Error](err); ok {
			h.reason, h.message = of.Reason, of.Message
			wait = min(max(of.RetryAfter, 10*time.Second), time.Minute)
		}
		passing := h.class == 0 || h.class == fetchers.Retry || h.class == fetchers.ParentDead || h.reason == Limited || h.class == fetchers.AddressRefused
		x.useless = h.class == fetchers.CodeRefused
		x.err = &Error{Reason: h.reason, RetryAfter: Never, Message: h.message}
		if passing {
			x.err = &Error{Reason: h.reason, RetryAfter: wait, Message: h.message}
		}
		e.log.Warn("an authorization code could not be exchanged", "owner", x.owner, "reason", h.reason.String(), "error", h.message, "failures", failures)
		switch {
		case e.base.Err() != nil:
			return // the code stays on disk for the next run
		case !promised:
			return
		case !passing || time.Now().Add(wait).After(x.code.Until):
			e.drop(x)
			return
		}
		wait = min(wait, time.Minute)
		if !e.pause(e.base, wait) {
			return
		}
		x.err = nil
	}
}

// drop gives up a promised code.
func (e *Engine) drop(x *exchange) {
	if err := e.forget([]record.Record{{Table: record.Codes, Key: x.key}}); err != nil {
		e.log.Error("cannot delete an authorization code that is of no use any more", "owner", x.owner, "error", err)
	}
}

// redeemOnce exchanges x once and keeps what comes of it.
func (e *Engine) redeemOnce(x *exchange, way Onboarding) (child string, err error) {
	// A code is used up by the call: what comes back must not be lost to a stop.
	ctx := context.WithoutCancel(e.base)
	var auth fetchers.Authorization
	sent := e.clock.Now()
	err = e.ask(ctx, way.Parent, quickTries, day, func(parent secret.Text) error {
		return e.slot(ctx, func(ctx context.Context) (err error) {
			sent = e.clock.Now()
			auth, err = way.Exchanger.Exchange(ctx, parent, x.code.Value)
			return err
		})
	})
	if err != nil {
		return "", err
	}
	e.codes.mu.Lock()
	promised := x.promised
	e.codes.mu.Unlock()
	return auth.Child, e.adopt(ctx, x, way, auth, answer{sent: sent}, promised)
}

// adopt keeps a customer's grant, its first token if one came, and forgets the code, in
// one step; then it puts them in force.
func (e *Engine) adopt(ctx context.Context, x *exchange, way Onboarding, auth fetchers.Authorization, got answer, promised bool) error {
	grant, token := way.Grant(auth.Child), way.Token(auth.Child)
	recs := []record.Record{
		{Table: record.Codes, Key: x.key},
		{Table: record.Holds, Key: token},
	}
	var first *credential
	if auth.Token != nil {
		first = &credential{text: auth.Token.Value, issued: got.sent, seen: got.sent, end: got.sent.Add(auth.Token.ExpiresIn), life: auth.Token.ExpiresIn}
		recs = append(recs, e.keep(token, first))
	}
	next := record.Generation{Value: auth.Grant, At: x.code.At, Source: fromExchange}
	renewed := false
	_, err := e.grants.change(ctx, grant, func(g *record.Grant) bool {
		revoked := g.Revoked
		renewed = g.Value != next.Value
		g.Replace(next)
		if promised && revoked.After(next.At) {
			// The customer took it back after this event: the event is history.
			g.Revoked = revoked
		}
		return true
	}, recs...)
	if err != nil {
		return err
	}
	e.release(grant)
	e.install(token, first, renewed)
	e.watchers.tell(Listing{Name: grant, State: Fresh})
	return nil
}

// install puts a customer's first token in force, in place of whatever was known under the
// name. Without one, a known token is fetched anew if its grant has changed.
func (e *Engine) install(name string, first *credential, renewed bool) {
	now := e.clock.Now()
	if en := e.index.get(name); en != nil {
		en.mu.Lock()
		switch {
		case first != nil:
			// A fetch that is under way was made with the grant before.
			e.dropLocked(en, errLapsed)
		case renewed:
			en.outdated, en.refresh = true, now
			e.planLocked(en, now)
		}
		en.mu.Unlock()
	}
	if first == nil {
		return
	}
	en, err := e.entry(name)
	if err != nil {
		return // revoked this moment
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.flight != nil || en.gone != nil {
		return // somebody was quicker, with the same grant
	}
	en.touch(now)
	en.current.Store(first)
	en.history.add(Attempt{At: time.Now().UTC(), Cause: CausePush, Outcome: "ok"})
	en.refresh = refreshAt(en.spec.Load().Kind.policy(), first, en.spread, now, false)
	e.tellLocked(en, now, true)
	e.planLocked(en, now)
}

// resume takes up the codes that an earlier run has promised to exchange.
func (e *Engine) resume() {
	var useless []record.Record
	for r, err := range e.cfg.Store.All(record.Codes) {
		var c record.Code
		if err == nil {
			c, err = record.DecodeCode(r)
		}
		if err != nil {
			e.log.Error("cannot read an authorization code: the customer must authorise again", "error", err)
			continue
		}
		if !c.Until.After(time.Now()) {
			useless = append(useless, record.Record{Table: record.Codes, Key: r.Key})
			continue
		}
		if _, err := e.begin(c, true); err != nil {
			e.log.Warn("an authorization code waits for its owner to be configured", "owner", c.Owner, "error", err)
		}
	}
	if err := e.forget(useless); err != nil {
		e.log.Error("cannot delete authorization codes that are of no use any more", "error", err)
	}
}

// importPage is how many customers are asked for at once: the most that WeChat gives.
const importPage = 500

// Import brings in one page of owner's customers as WeChat lists them. It asks with the
// owner's own credential and makes one call.
func (e *Engine) Import(ctx context.Context, owner string, offset int) (ImportPage, error) {
	way, err := (*e.catalog.Load()).Onboarding(owner)
	if err != nil {
		return ImportPage{}, err
	}
	if way.Lister == nil {
		return ImportPage{}, &Error{Reason: Unfit, RetryAfter: Never, Message: "WeChat has no list of the customers of " + owner}
	}
	var page fetchers.AuthorizerPage
	err = e.ask(ctx, way.Parent, quickTries, day, func(parent secret.Text) error {
		return e.slot(ctx, func(ctx context.Context) (err error) {
			page, err = way.Lister.Page(ctx, parent, offset, importPage)
			return err
		})
	})
	if err != nil {
		if of, ok := errors.AsType[*Error](err); ok {
			return ImportPage{}, of
		}
		return ImportPage{}, failed(err, 1, 0, false, 0, e.clock.Now(), time.Now()).err(e.clock.Now())
	}
	p := ImportPage{Total: page.Total}
	for _, a := range page.Authorizers {
		if a.RefreshToken == "" {
			continue // its code was never exchanged: there is nothing to keep
		}
		changed, err := e.give(ctx, way.Grant(a.AppID), record.Generation{Value: a.RefreshToken, At: time.Now(), Source: fromList})
		if err != nil {
			return p, err
		}
		if changed {
			p.Kept++
		}
	}
	if n := offset + len(page.Authorizers); len(page.Authorizers) > 0 && n < page.Total {
		p.Next = n
	}
	return p, nil
}
