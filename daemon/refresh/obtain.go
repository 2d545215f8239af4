package refresh

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/quota"
	"tokend/fetchers/secret"
)

// obtain returns a credential of name that is valid now, and fetches it if need be.
func (e *Engine) obtain(ctx context.Context, name string, cause credential.Cause) (*cached, error) {
	for {
		en, err := e.entry(name)
		if err != nil {
			return nil, err
		}
		now := e.Now()
		en.touch(now)
		if c := en.valid(now); c != nil {
			return c, nil
		}
		var c *cached
		if en.policy().PerAsk {
			c, err = e.fetchAlone(ctx, en, cause)
		} else {
			c, err = e.share(ctx, en, cause)
		}
		if ctx.Err() != nil || !errors.Is(err, errChanged) {
			return c, err
		}
	}
}

// share waits for the one flight of en, which it joins or starts.
func (e *Engine) share(ctx context.Context, en *entry, cause credential.Cause) (*cached, error) {
	f, c, err := e.join(en, cause)
	if f != nil {
		c, err = e.await(ctx, en, f)
	}
	return c, e.orExpected(en, err)
}

// await returns what f brings, which is the flight of en, or ctx's error if that ends first. A
// client whose time is over learns from the error if another host is fetching.
func (e *Engine) await(ctx context.Context, en *entry, f *flight) (*cached, error) {
	if e.cfg.Peers == nil {
		return f.wait(ctx)
	}
	began := e.clock.Now()
	c, err := f.wait(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		if host := e.claims.awaited(en.name); host != "" {
			waited := max(e.clock.Now().Sub(began).Round(time.Second), time.Second)
			err = &credential.Error{Reason: credential.Unreachable, RetryAfter: waited, Err: err,
				Message: fmt.Sprintf("host %s is fetching the credential: no answer within %d s", host, waited/time.Second)}
		}
	}
	return c, err
}

// join returns the flight that is under way for en, or starts one; or the credential that
// has just become valid; or the reason why no call is made.
func (e *Engine) join(en *entry, cause credential.Cause) (f *flight, c *cached, err error) {
	en.mu.Lock()
	defer en.mu.Unlock()
	now := e.clock.Now()
	if c := en.valid(now); c != nil {
		return nil, c, nil
	}
	if f := en.flight; f != nil {
		return f, nil, nil
	}
	if en.policy().Pushed > 0 {
		return nil, nil, noTicket(en.name)
	}
	if h := en.paused(now); h != nil {
		return nil, nil, h.err(now)
	}
	f, err = e.startLocked(en, cause)
	return f, nil, err
}

func (e *Engine) replace(ctx context.Context, name string, value secret.Text, cause credential.Cause) (*cached, error) {
	for {
		en, err := e.entry(name)
		if err != nil {
			return nil, err
		}
		f, c, err := e.joinRejecting(en, value, cause)
		switch {
		case c != nil:
			return c, nil
		case f != nil:
			c, err = e.await(ctx, en, f)
		case err == nil:
			return e.obtain(ctx, name, cause)
		}
		if ctx.Err() != nil || !errors.Is(err, errChanged) {
			return c, err
		}
	}
}

// joinRejecting returns the flight that replaces value; or value's credential itself, if WeChat has
// just repeated it; or why no call is made. All nil: value is not the current one.
func (e *Engine) joinRejecting(en *entry, value secret.Text, cause credential.Cause) (f *flight, c *cached, err error) {
	en.mu.Lock()
	defer en.mu.Unlock()
	now := e.clock.Now()
	c = en.valid(now)
	if c == nil || c.text != value {
		return nil, nil, nil
	}
	if en.repeatedLocked(now) {
		return nil, c, nil
	}
	if cause == credential.CauseParent {
		en.noteDead(value)
	}
	f = en.flight
	if f == nil {
		if en.policy().Pushed > 0 {
			return nil, nil, noTicket(en.name)
		}
		if h := en.paused(now); h != nil {
			return nil, nil, h.err(now)
		}
		if wait := en.newHistory().rejections.take(now); wait > 0 {
			return nil, nil, guard("of one credential, one value a minute is replaced after the first few", wait)
		}
		if f, err = e.startLocked(en, cause); err != nil {
			return nil, nil, err
		}
		f.paid = true
	}
	f.rejected = value
	return f, nil, nil
}

// lookup returns how name is fetched by the configuration in force. Its error is a
// *credential.Error.
func (e *Engine) lookup(name string) (Spec, error) { return (*e.catalog.Load()).Lookup(name) }

// value returns what a reader gets of c, which is name's; the zero Value for nil.
func (e *Engine) value(name string, c *cached) credential.Value {
	if c == nil {
		return credential.Value{}
	}
	// A life that ran out on the way here is shown as its last instant: it was
	// valid when the flight landed.
	v := credential.Value{Text: c.text, TTL: max(c.end.Sub(e.clock.Now()), 1)}
	if en := e.index.get(name); en != nil {
		v.Readers = &en.readers
	}
	return v
}

// The rest of this file is about credentials that are fetched for each request (pre_auth_code).
// They have no shared flight, no refresh ahead and no hold on disk. What bounds their calls is a
// budget per hour and a queue for each of them. Users share both.

// asksAtOnce is how many calls for one such credential are in flight at most.
const asksAtOnce = 4

// budgets returns what each call for s is charged to.
func (s *Spec) budgets() []quota.Budget {
	p := s.Policy
	if !p.PerAsk || s.PerHour == 0 {
		return p.Budgets
	}
	b := p.Budgets[0]
	b.Limit, b.Spare = s.PerHour, max(s.PerHour/10, 1)
	return []quota.Budget{b}
}

// takeShare counts a call for spec that is made for user, or returns why it is not made.
func (e *Engine) takeShare(spec *Spec, user any, now clock.Instant) error {
	b := spec.budgets()[0]
	if r := e.shares.Take(e.ledger, b, b.Key(payer(&b, spec)), user, now); r != nil {
		return overspent(r)
	}
	return nil
}

// fetchAlone fetches en for one request. It waits for a place in the queue; ctx bounds the wait,
// not the fetch.
func (e *Engine) fetchAlone(ctx context.Context, en *entry, cause credential.Cause) (*cached, error) {
	user := credential.UserOf(ctx)
	if err := e.enterAsks(ctx, en.name, user); err != nil {
		return nil, err
	}
	f, err := e.startAlone(en, user, &flight{cause: cause, done: make(chan struct{}), leave: func() { e.asks.leave(en.name, user) }})
	if err != nil {
		e.asks.leave(en.name, user)
		return nil, err
	}
	return f.wait(ctx)
}

// enterAsks waits for a place in the queue of name. A stop of the engine ends the wait.
func (e *Engine) enterAsks(ctx context.Context, name string, user any) error {
	waiting, end := e.untilStop(ctx)
	defer end()
	err := e.asks.enter(waiting, name, user)
	if err != nil && ctx.Err() == nil {
		return stopping()
	}
	return err
}

// startAlone starts f for a request of user, or returns what forbids it. An operator's refresh is
// made in a hold too.
func (e *Engine) startAlone(en *entry, user any, f *flight) (*flight, error) {
	en.mu.Lock()
	defer en.mu.Unlock()
	now := e.clock.Now()
	if h := en.paused(now); h != nil && f.cause != credential.CauseRefresh {
		return nil, h.err(now)
	}
	if spec, err := e.lookup(en.name); err == nil { // else the flight reports it
		if err := e.takeShare(&spec, user, now); err != nil {
			return nil, err
		}
	}
	return f, e.beginLocked(en, f)
}

// asks bounds the calls in flight for each credential that is fetched for each request. Its zero
// value is ready.
type asks struct {
	mu sync.Mutex
	of map[string]*askQueue // by name; those in use
}

// askQueue is the calls in flight for one credential, and the requests that wait, by user.
type askQueue struct {
	*limiter
	requests int // in flight and waiting; guarded by asks.mu
}

// lastForOthers lets one user have all places but the last, which is for users without a call in
// flight. So the first request of a user does not wait for another user's calls.
func lastForOthers(limit int) (share, spare int) { return limit, 1 }

// enter waits for a place. Each caller that entered leaves.
func (a *asks) enter(ctx context.Context, name string, user any) error {
	_, err := a.join(name).enter(ctx, user, awaited)
	if err != nil {
		a.forget(name)
	}
	return err
}

// leave gives back the place of a request of user.
func (a *asks) leave(name string, user any) {
	a.mu.Lock()
	q := a.of[name]
	a.mu.Unlock()
	q.leave(0, user, 0, false)
	a.forget(name)
}

// join returns the queue of name, with one request more.
func (a *asks) join(name string) *askQueue {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.of[name]
	if q == nil {
		if a.of == nil {
			a.of = map[string]*askQueue{}
		}
		q = &askQueue{limiter: newLimiter(asksAtOnce, asksAtOnce, lastForOthers)}
		a.of[name] = q
	}
	q.requests++
	return q
}

// forget takes a request out of the queue of name.
func (a *asks) forget(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if q := a.of[name]; q.requests == 1 {
		delete(a.of, name)
	} else {
		q.requests--
	}
}
