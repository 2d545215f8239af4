package quota

import (
	"fmt"
	"maps"
	"sync"

	"tokend/daemon/clock"
)

// keptShare is the part of a shared budget that is reserved for users who have not made as many
// calls. Otherwise one user could spend it all and leave the others without a call for an hour.
const keptShare = 10

// Shares divides budgets among users. Its zero value is ready. Its methods may be called
// concurrently.
type Shares struct {
	mu sync.Mutex
	of map[share]Tally
}

// share is what user has made of the calls under key.
type share struct {
	key  string
	user any
}

// Take counts a call of b under key for user, or returns the refusal. The user nil stands for all
// users that are not distinguished, and may spend all of b.
func (ss *Shares) Take(l *Ledger, b Budget, key string, user any, now clock.Instant) *Refusal {
	part := b.Limit / keptShare
	if user == nil || part == 0 {
		return nil
	}
	s := share{key, user}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	mine := ss.of[s].Live(now)
	if mine.Calls() >= part {
		most := b
		most.Limit -= part
		if wait := l.Wait(most, key, now); wait > 0 {
			why := fmt.Sprintf("the last %d of %d %s within %s are reserved for other users", part, b.Limit, b.Calls, amount(b.Window))
			return &Refusal{why, wait}
		}
	}
	mine.Window = b.Window
	ss.remember(s, mine.with(now), now)
	return nil
}

// remember sets what s has made, and forgets users without calls when another comes. mu is held.
func (ss *Shares) remember(s share, made Tally, now clock.Instant) {
	if _, ok := ss.of[s]; !ok {
		maps.DeleteFunc(ss.of, func(_ share, t Tally) bool { return len(t.Live(now).Slices) == 0 })
	}
	if ss.of == nil {
		ss.of = map[share]Tally{}
	}
	ss.of[s] = made
}
