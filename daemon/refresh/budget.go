package refresh

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tokend/daemon/record"
)

// budget is a quota of WeChat's, or tokend's own guard before one.
type budget struct {
	// word names it in keys and messages.
	word string
	// window is the time in which limit calls may be made: a natural day of
	// WeChat's where it is [day], a sliding one otherwise.
	window time.Duration
	limit  int
	// gap is the least time between two calls; zero for none.
	gap time.Duration
	// owner: counted for the owner of the account (the corp), not for the account.
	owner bool
}

// ledger counts calls against budgets and keeps the counts over restarts. A call
// is charged before it is made, whether it succeeds or not: a crash in between costs
// one call of the budget and never one beyond it.
type ledger struct {
	store Store

	mu    sync.Mutex
	spent map[string]record.Budget
}

func newLedger(store Store) (*ledger, []error) {
	l := &ledger{store: store, spent: map[string]record.Budget{}}
	var errs []error
	for r, err := range store.All(record.Budgets) {
		if err == nil {
			var b record.Budget
			if b, err = record.DecodeBudget(r); err == nil {
				l.spent[b.Key] = b
				continue
			}
		}
		errs = append(errs, fmt.Errorf("budget %s: %w", r.Key, err))
	}
	return l, errs
}

// charge takes one call out of every budget, or out of none and returns the
// *Error that says when to come back. undurable is the store's error where the count could
// not be written: the call may go on, because a disk that refuses must
// not stop tokens, and the count holds for this run.
func (l *ledger) charge(ctx context.Context, spec *Spec, budgets []budget, now time.Time) (refusal *Error, undurable error) {
	if len(budgets) == 0 {
		return nil, nil
	}
	l.mu.Lock()
	recs := make([]record.Record, 0, len(budgets))
	charged := make([]record.Budget, 0, len(budgets))
	for _, b := range budgets {
		c := b.roll(l.spent[b.key(spec)], now)
		c.Key = b.key(spec)
		if wait := b.wait(c, now); wait > 0 {
			l.mu.Unlock()
			return guard(b.word, wait), nil
		}
		c.Spent++
		c.Last = now
		charged = append(charged, c)
		recs = append(recs, c.Encode())
	}
	for _, c := range charged {
		l.spent[c.Key] = c
	}
	l.mu.Unlock()
	return nil, l.store.Put(ctx, recs...)
}

func (b budget) key(spec *Spec) string {
	if b.owner {
		return spec.Owner + "#" + b.word
	}
	return spec.Account + "#" + b.word
}

// roll moves c on to the window that holds now.
func (b budget) roll(c record.Budget, now time.Time) record.Budget {
	start := now.Truncate(b.window)
	if b.window == day {
		start = now.Add(untilMidnight(now) - day)
	}
	switch {
	case c.Window.Equal(start):
	case c.Window.Equal(start.Add(-b.window)):
		c.Before, c.Spent, c.Window = c.Spent, 0, start
	case c.Window.After(now):
		// The wall clock was set back. What was spent stays spent until this
		// window is over: a stepped clock must not refill a quota.
		c.Before, c.Window = 0, start
		c.Last = now
	default:
		c.Before, c.Spent, c.Window = 0, 0, start
	}
	return c
}

// wait returns how long until a call fits into b; zero when it does.
func (b budget) wait(c record.Budget, now time.Time) time.Duration {
	if b.gap > 0 && !c.Last.IsZero() {
		if w := b.gap - now.Sub(c.Last); w > 0 {
			return w
		}
	}
	into := now.Sub(c.Window)
	if b.window == day {
		if c.Spent >= b.limit {
			return b.window - into
		}
		return 0
	}
	// Sliding: what the window before still weighs falls evenly to nothing.
	weight := float64(c.Before) * float64(b.window-into) / float64(b.window)
	if float64(c.Spent)+weight < float64(b.limit) {
		return 0
	}
	if c.Spent >= b.limit || c.Before == 0 {
		return b.window - into
	}
	over := float64(c.Spent) + weight - float64(b.limit) + 1
	return max(time.Duration(over/float64(c.Before)*float64(b.window)), time.Second)
}
