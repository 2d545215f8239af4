package refresh

import (
	"context"
	"sync"
	"tokend/daemon/clock"
	"tokend/daemon/quota"
)

// This file is about credentials that are fetched for each request (pre_auth_code). They have no
// shared flight, no refresh ahead and no hold on disk. What bounds their calls is a budget per
// hour and a queue for each of them. Users share both.

const (
	// asksAtOnce is how many calls for one such credential are in flight at most.
	asksAtOnce = 4

	// asksPerHour is how many calls for it there are in an hour, unless Spec.PerHour says
	// otherwise. WeChat publishes no quota. A code is needed once for each customer that
	// authorizes.
	asksPerHour = 600
)

// budgets returns what each call for s is charged to.
func (s *Spec) budgets() []quota.Budget {
	p := s.Kind.policy()
	if !p.perAsk || s.PerHour == 0 {
		return p.budgets
	}
	b := p.budgets[0]
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
func (e *Engine) fetchAlone(ctx context.Context, en *entry, cause Cause) (*credential, error) {
	user := UserOf(ctx)
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
	if h := en.paused(now); h != nil && f.cause != CauseRefresh {
		return nil, h.err(now)
	}
	if spec, err := e.lookup(en.name); err == nil { // else the flight says so
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

// lastForOthers lets one user have all places but the last, which is for a user who has no call in
// flight: the first request of a user does not wait for another user's calls.
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
