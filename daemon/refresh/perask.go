package refresh

import (
	"context"
	"slices"
	"sync"
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
func (s *Spec) budgets() []budget {
	p := s.Kind.policy()
	if !p.perAsk || s.PerHour == 0 {
		return p.budgets
	}
	b := p.budgets[0]
	b.limit, b.spare = s.PerHour, max(s.PerHour/10, 1)
	return []budget{b}
}

type userKey struct{}

// WithUser returns a context whose requests are made for user. Where requests must queue, users
// take turns, and none may use up what there is for all. The engine compares user to others and
// does nothing else with it; without one, a request counts as that of the user nil, who may.
func WithUser(ctx context.Context, user any) context.Context {
	return context.WithValue(ctx, userKey{}, user)
}

// UserOf returns the user of ctx's request.
func UserOf(ctx context.Context) any { return ctx.Value(userKey{}) }

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

// askQueue is the calls in flight for one credential, and the requests that wait. Guarded by
// asks.mu.
type askQueue struct {
	busy  int
	users map[any]*asker
	turns []*asker // users with waiting requests; the next first
}

// asker is one user of an askQueue.
type asker struct {
	busy    int             // calls in flight
	waiting []chan struct{} // requests, oldest first; closed to let one in
}

// enter waits for a place. Whoever entered leaves.
func (a *asks) enter(ctx context.Context, name string, user any) error {
	place := make(chan struct{})
	a.mu.Lock()
	a.joinLocked(name, user, place)
	a.mu.Unlock()
	select {
	case <-place:
		if ctx.Err() == nil {
			return nil
		}
	case <-ctx.Done():
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.of[name]
	u := q.users[user]
	if i := slices.Index(u.waiting, place); i >= 0 {
		u.waiting = slices.Delete(u.waiting, i, i+1)
		if len(u.waiting) == 0 {
			q.turns = slices.DeleteFunc(q.turns, func(x *asker) bool { return x == u })
		}
		a.tidyLocked(name, user)
		return ctx.Err()
	}
	// Let in at the moment of giving up: the place goes to the next.
	a.leaveLocked(name, user)
	return ctx.Err()
}

func (a *asks) joinLocked(name string, user any, place chan struct{}) {
	if a.of == nil {
		a.of = map[string]*askQueue{}
	}
	q := a.of[name]
	if q == nil {
		q = &askQueue{users: map[any]*asker{}}
		a.of[name] = q
	}
	u := q.users[user]
	if u == nil {
		u = &asker{}
		q.users[user] = u
	}
	if u.waiting = append(u.waiting, place); len(u.waiting) == 1 {
		q.turns = append(q.turns, u)
	}
	q.admit()
}

// leave gives back the place of a request of user.
func (a *asks) leave(name string, user any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.leaveLocked(name, user)
}

func (a *asks) leaveLocked(name string, user any) {
	q := a.of[name]
	q.busy--
	q.users[user].busy--
	q.admit()
	a.tidyLocked(name, user)
}

// tidyLocked forgets what is not in use any more.
func (a *asks) tidyLocked(name string, user any) {
	q := a.of[name]
	if u := q.users[user]; u.busy == 0 && len(u.waiting) == 0 {
		delete(q.users, user)
	}
	if len(q.users) == 0 {
		delete(a.of, name)
	}
}

// admit lets in the next requests: users take turns, each with its oldest request. The last place
// is for a user who has no call in flight, so that the first request of a user does not wait for
// another user's calls.
func (q *askQueue) admit() {
	for {
		i := slices.IndexFunc(q.turns, func(u *asker) bool {
			return q.busy < asksAtOnce-1 || q.busy < asksAtOnce && u.busy == 0
		})
		if i < 0 {
			return
		}
		u := q.turns[i]
		q.turns = slices.Delete(q.turns, i, i+1)
		close(u.waiting[0])
		u.waiting = slices.Delete(u.waiting, 0, 1)
		u.busy++
		q.busy++
		if len(u.waiting) > 0 {
			q.turns = append(q.turns, u)
		}
	}
}
