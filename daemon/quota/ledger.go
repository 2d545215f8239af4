package quota

import (
	"sync"
	"time"

	"tokend/daemon/clock"
)

// Ledger counts calls against budgets. Its methods may be called concurrently.
type Ledger struct {
	retry time.Duration

	mu    sync.Mutex
	spent map[string]Tally
	lost  map[string]Tally // what the disk has refused to count of spent; by the same keys
	clean int              // the number of tallies after the last Prune
}

// NewLedger returns a ledger without calls. retry is how often the caller repeats a write that the
// disk has refused.
func NewLedger(retry time.Duration) *Ledger {
	return &Ledger{retry: retry, spent: map[string]Tally{}, lost: map[string]Tally{}}
}

// Restore replaces all tallies by spent, which is the ledger's from then on.
func (l *Ledger) Restore(spent map[string]Tally) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spent = spent
}

// Wait returns how long until a call fits into b under key: into the rest of its limit, and into
// its spare calls if the disk has refused to count the last ones.
func (l *Ledger) Wait(b Budget, key string, now clock.Instant) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait := b.Wait(l.spent[key].Live(now), now)
	if lost := l.lost[key].Live(now); len(lost.Slices) > 0 {
		wait = max(wait, l.uncounted(&b, lost, false, now))
	}
	return wait
}

// Spend counts a call.
func (l *Ledger) Spend(b Budget, key string, now clock.Instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	count(l.spent, b, key, now)
}

// count adds a call of b at now to the tally under key in one of the ledger's maps, whose lock is
// held.
func count(tallies map[string]Tally, b Budget, key string, now clock.Instant) {
	t := tallies[key].Live(now)
	t.Window = b.Window
	tallies[key] = t.with(now)
}

// Charge takes one call out of every budget, counted under the key of the same index. If the call
// exceeds one budget, Charge takes nothing and returns the refusal.
func (l *Ledger) Charge(budgets []Budget, keys []string, now clock.Instant) *Refusal {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, b := range budgets {
		t := l.spent[keys[i]].Live(now)
		wait := b.Wait(t, now)
		switch {
		case wait > 0 && b.spacing(t, now) > 0:
			return b.refuseSpaced(wait)
		case wait > 0:
			return b.Refuse(wait)
		}
	}
	for i, b := range budgets {
		count(l.spent, b, keys[i], now)
	}
	return nil
}

// Get returns the tally of key.
func (l *Ledger) Get(key string) Tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.spent[key]
}

// Total returns the number of calls of the last window under key. It does not allocate.
func (l *Ledger) Total(key []byte, now clock.Instant) int {
	l.mu.Lock()
	t := l.spent[string(key)]
	l.mu.Unlock()
	return t.Live(now).Calls()
}

// PruneFrom is the number of tallies below which Prune does nothing.
const PruneFrom = 1024

// Prune deletes the tallies without calls and returns their keys. It does nothing until there are
// twice as many tallies as after the last Prune.
func (l *Ledger) Prune(now clock.Instant) (idle []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.spent) < max(PruneFrom, 2*l.clean) {
		return nil
	}
	for key, t := range l.spent {
		if len(t.Live(now).Slices) == 0 {
			delete(l.spent, key)
			delete(l.lost, key)
			idle = append(idle, key)
		}
	}
	l.clean = len(l.spent)
	return idle
}
