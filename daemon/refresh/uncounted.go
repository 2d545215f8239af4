package refresh

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tokend/daemon/clock"
)

// This file is about calls that the disk has refused to count. If the run that makes them is
// killed, the next one knows nothing of them and would spend the budget anew; so of each budget
// they are bounded by themselves, to what lies between tokend's limit and WeChat's. What holds over
// a kill does not hold over many of them, all on a disk that refuses.

// uncounted returns how long until another call may be made that is not counted on disk; lost
// is those of the last window. Half of what there is to spare is for calls that cannot wait, and
// for those that can, spread over the window. The other half is for the former alone, likewise
// spread, so that a disk that refuses for hours leaves no long gap. A budget that spares none has
// none.
func (b budget) uncounted(lost tally, early bool, now clock.Instant) time.Duration {
	if b.spare == 0 {
		return saveEvery // when the disk is tried again
	}
	total := lost.calls()
	half := (b.spare + 1) / 2
	limit := b.spare
	if early {
		limit = half
	}
	w := (budget{window: b.window, limit: limit}).wait(lost, now)
	if total == 0 || !early && total < half {
		return w
	}
	gap := 2 * b.window / time.Duration(b.spare)
	return max(w, gap-now.Sub(lost.slices[len(lost.slices)-1].last))
}

// lose notes that the disk has refused to count a call that was charged just now. Where one of its
// budgets has none to spare the charge is taken back, and the *Error says when to come
// back.
func (l *ledger) lose(use usage, keys []string, now clock.Instant) *Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, b := range use.budgets {
		if wait := b.uncounted(l.lost[keys[i]].live(now), use.early, now); wait > 0 {
			for _, key := range keys {
				l.spent[key] = l.spent[key].without()
			}
			return &Error{
				Reason:     Limited,
				RetryAfter: min(wait, time.Minute), // the disk may be well again before
				Message:    fmt.Sprintf("no call made: the disk refuses, and it could not be counted against the %s quota", b.word),
			}
		}
	}
	for i, b := range use.budgets {
		l.loseLocked(b, keys[i], now)
	}
	return nil
}

// forfeit notes that the disk has refused to count what was spent of b just now.
func (l *ledger) forfeit(b budget, key string, now clock.Instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loseLocked(b, key, now)
}

func (l *ledger) loseLocked(b budget, key string, now clock.Instant) {
	if l.lost == nil {
		l.lost = map[string]tally{}
	}
	t := l.lost[key].live(now)
	t.window = b.window
	l.lost[key] = t.with(now)
}

// without returns t without the call that was counted last. It shares nothing with t that it
// changes.
func (t tally) without() tally {
	n := len(t.slices)
	if n == 0 {
		return t
	}
	t.slices = slices.Clone(t.slices)
	if t.slices[n-1].calls--; t.slices[n-1].calls == 0 {
		t.slices = t.slices[:n-1]
	}
	return t
}

// found notes that what was spent under keys is on disk.
func (l *ledger) found(keys []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range keys {
		delete(l.lost, key)
	}
}

// uncounted returns the keys of which the disk does not know what was spent.
func (l *ledger) uncounted() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	keys := make([]string, 0, len(l.lost))
	for key := range l.lost {
		keys = append(keys, key)
	}
	return keys
}

// saveBudgets writes what was spent while the disk refused.
func (e *Engine) saveBudgets() error {
	for batch := range slices.Chunk(e.ledger.uncounted(), forgetBatch) {
		if err := e.writeBudgets(context.Background(), batch); err != nil {
			return err
		}
	}
	return nil
}
