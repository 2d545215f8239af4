package refresh

import (
	"fmt"
	"maps"
	"sync"

	"tokend/daemon/clock"
)

// This file divides the budget of what is fetched for each request among users: one who spends all
// that there is would leave nothing to the others for an hour.

// keptShare is which part of such a budget is for users who have not made as many calls.
const keptShare = 10

// shares are the calls that users have made of late. Its zero value is ready.
type shares struct {
	mu sync.Mutex
	of map[share]tally
}

// share is what user has made of the calls for what is called name.
type share struct {
	name string
	user any
}

// takeShare counts a call for spec that is made for user, or returns why it is not made. Whoever is
// not told apart, as nil is, may spend all.
func (e *Engine) takeShare(spec *Spec, user any, now clock.Instant) error {
	b := spec.budgets()[0]
	part := b.limit / keptShare
	if user == nil || part == 0 {
		return nil
	}
	s := share{spec.Name, user}
	e.shares.mu.Lock()
	defer e.shares.mu.Unlock()
	mine := e.shares.of[s].live(now)
	if mine.calls() >= part {
		most := b
		most.limit -= part
		if wait := e.ledger.wait(most, b.key(spec), now); wait > 0 {
			return guard(fmt.Sprintf("the last %d of %d %s within %s are reserved for other users", part, b.limit, b.calls, amount(b.window)), wait)
		}
	}
	mine.window = b.window
	e.shares.rememberLocked(s, mine.with(now), now)
	return nil
}

// rememberLocked sets what s has made, and forgets those who have made none of late when another
// comes.
func (ss *shares) rememberLocked(s share, made tally, now clock.Instant) {
	if _, ok := ss.of[s]; !ok {
		maps.DeleteFunc(ss.of, func(_ share, t tally) bool { return len(t.live(now).slices) == 0 })
	}
	if ss.of == nil {
		ss.of = map[share]tally{}
	}
	ss.of[s] = made
}
