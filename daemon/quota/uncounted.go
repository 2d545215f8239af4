package quota

import (
	"fmt"
	"time"

	"tokend/daemon/clock"
)

// This file is about calls that the disk has refused to count. If the run that makes them is
// killed, the next run does not know them and would spend the budget again. So they are limited to
// a part of the budget of their own: the spare calls between tokend's limit and WeChat's. This
// bounds one kill; it does not bound many kills on a disk that refuses all writes.

// uncounted returns how long until another uncounted call may be made; lost is those of the last
// window. Half of the spare calls are for calls that cannot wait and, spread over the window, for
// early calls. The other half is for the former alone, also spread, so that a disk that refuses
// writes for hours leaves no long gap. A budget without spare calls has none. mu is held.
func (l *Ledger) uncounted(b *Budget, lost Tally, early bool, now clock.Instant) time.Duration {
	if b.Spare == 0 {
		return l.retry
	}
	total := lost.Calls()
	half := (b.Spare + 1) / 2
	limit := b.Spare
	if early {
		limit = half
	}
	w := (&Budget{Window: b.Window, Limit: limit}).Wait(lost, now)
	if total == 0 || !early && total < half {
		return w
	}
	gap := 2 * b.Window / time.Duration(b.Spare)
	return max(w, gap-now.Sub(lost.Slices[len(lost.Slices)-1].Last))
}

// Lose records that a call that was just charged could not be counted, because of why: the disk
// refuses, for example. early: no client waits for the call. If one of the budgets has no spare
// calls left, Lose takes the charge back and returns the refusal.
func (l *Ledger) Lose(budgets []Budget, keys []string, early bool, why string, now clock.Instant) *Refusal {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range budgets {
		b := &budgets[i]
		if wait := l.uncounted(b, l.lost[keys[i]].Live(now), early, now); wait > 0 {
			l.takeBack(keys)
			return &Refusal{
				Why:  fmt.Sprintf("%s, and it could not be counted against the %s quota", why, b.Word),
				Wait: min(wait, time.Minute), // the disk may accept writes sooner
			}
		}
	}
	for i, b := range budgets {
		count(l.lost, b, keys[i], now)
	}
	return nil
}

// TakeBack takes back the charge of a call that is not made.
func (l *Ledger) TakeBack(keys []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.takeBack(keys)
}

// takeBack is TakeBack with mu held.
func (l *Ledger) takeBack(keys []string) {
	for _, key := range keys {
		l.spent[key] = l.spent[key].without()
	}
}

// Follow replaces the tally of key by what all hosts have counted, and adds the calls of this host
// that are not counted yet.
func (l *Ledger) Follow(key string, counted Tally) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spent[key] = counted.and(l.lost[key])
}

// Forfeit records that the disk has refused to count a call of b that was just spent and has been
// made.
func (l *Ledger) Forfeit(b Budget, key string, now clock.Instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	count(l.lost, b, key, now)
}

// Counted records that the calls under keys are on disk.
func (l *Ledger) Counted(keys []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range keys {
		delete(l.lost, key)
	}
}

// Uncounted returns the keys whose calls are not on disk.
func (l *Ledger) Uncounted() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	keys := make([]string, 0, len(l.lost))
	for key := range l.lost {
		keys = append(keys, key)
	}
	return keys
}
