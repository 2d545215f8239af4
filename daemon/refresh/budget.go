package refresh

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/record"
)

// budget is a quota of WeChat's, or tokend's own guard before one: at most limit calls within any
// window, wherever it begins. WeChat's own windows begin at a full minute, hour or day, by a clock
// of which it says nothing; one that slides keeps within all of them, and cannot be
// refilled by a wall clock that is set.
type budget struct {
	// word names it in keys, calls in messages: what is counted, in the plural.
	word   string
	calls  string
	window time.Duration
	limit  int
	// spare is how many calls more there may be within a window that the disk has refused to
	// count, and that the next run may know nothing of: see uncounted.
	spare int
	// gap is the least time between two calls; zero for none.
	gap time.Duration
	// owner: counted for the owner of the account (the corp), not for the account;
	// host: for the host that is called, whatever the account.
	owner, host bool
}

// key names what b counts of spec. No name has a '#' in it.
func (b budget) key(spec *Spec) string { return b.payer(spec) + "#" + b.word }

// appendKey is key for a look-up that allocates nothing.
func (b *budget) appendKey(key []byte, spec *Spec) []byte {
	return append(append(append(key, b.payer(spec)...), '#'), b.word...)
}

// payer returns whom b counts calls for spec for; "" for the host.
func (b *budget) payer(spec *Spec) string {
	switch {
	case b.host:
		return ""
	case b.owner:
		return spec.Owner
	}
	return spec.Account
}

// day is the window of a quota that WeChat counts by the day.
const day = 24 * time.Hour

// parts is into how many a window is cut: calls within one part are counted as
// made at the time of the last, which errs on the safe side by so much.
const parts = 24

// slice is some calls that were made within one part of a window.
type slice struct {
	first, last clock.Instant
	calls       int
}

// tally is the calls of the last window, oldest first.
type tally struct {
	window time.Duration
	slices []slice
}

// live returns t without what does not count any more at now.
func (t tally) live(now clock.Instant) tally {
	i := 0
	for i < len(t.slices) && now.Sub(t.slices[i].last) >= t.window {
		i++
	}
	t.slices = t.slices[i:]
	return t
}

// calls returns how many calls t has.
func (t tally) calls() (calls int) {
	for _, s := range t.slices {
		calls += s.calls
	}
	return calls
}

// since returns how many calls were made since from, without those of a part that began before.
func (t tally) since(from clock.Instant) (calls int) {
	for _, s := range t.slices {
		if s.first >= from {
			calls += s.calls
		}
	}
	return calls
}

// with returns t with a call at now. It shares nothing with t that it changes.
func (t tally) with(now clock.Instant) tally {
	t.slices = slices.Clone(t.slices)
	if n := len(t.slices); n > 0 && now.Sub(t.slices[n-1].first) < t.window/parts {
		t.slices[n-1].last = max(t.slices[n-1].last, now)
		t.slices[n-1].calls++
		return t
	}
	t.slices = append(t.slices, slice{first: now, last: now, calls: 1})
	return t
}

// wait returns how long until a call fits into b; zero when it does. t is live.
func (b budget) wait(t tally, now clock.Instant) time.Duration {
	if w := b.spacing(t, now); w > 0 {
		return w
	}
	total := t.calls()
	for _, s := range t.slices {
		if total < b.limit {
			break
		}
		if total -= s.calls; total < b.limit {
			return s.last.Add(b.window).Sub(now)
		}
	}
	return 0
}

// spacing returns how much of the gap after the last call is left; zero for none. t is live.
func (b budget) spacing(t tally, now clock.Instant) time.Duration {
	n := len(t.slices)
	if n == 0 || b.gap == 0 {
		return 0
	}
	return max(b.gap-now.Sub(t.slices[n-1].last), 0)
}

// refusal returns the error of a call that does not fit into b, and will after wait; spaced: it
// is only too soon after the last one.
func (b budget) refusal(wait time.Duration, spaced bool) *Error {
	if spaced {
		return guard(fmt.Sprintf("%s are %s apart", b.calls, amount(b.gap)), wait)
	}
	return guard(fmt.Sprintf("tokend allows %d %s within %s", b.limit, b.calls, amount(b.window)), wait)
}

// amount returns d in words, without the parts that are zero.
func amount(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// ledger counts calls against budgets. Its zero value is ready.
type ledger struct {
	mu    sync.Mutex
	spent map[string]tally
	lost  map[string]tally // what of spent the disk has refused to count; by the same keys
	clean int              // how many tallies were left by the last sweep
}

// wait returns how long until a call fits into b, of which key is counted: into what is left of
// it, and of what is to spare if the disk has refused to count the last ones.
func (l *ledger) wait(b budget, key string, now clock.Instant) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait := b.wait(l.spent[key].live(now), now)
	if lost := l.lost[key].live(now); len(lost.slices) > 0 {
		wait = max(wait, b.uncounted(lost, false, now))
	}
	return wait
}

// spend counts a call.
func (l *ledger) spend(b budget, key string, now clock.Instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spendLocked(b, key, now)
}

func (l *ledger) spendLocked(b budget, key string, now clock.Instant) {
	if l.spent == nil {
		l.spent = map[string]tally{}
	}
	t := l.spent[key].live(now)
	t.window = b.window
	l.spent[key] = t.with(now)
}

// charge takes one call out of every budget, or out of none, and returns the *Error that
// says when to come back.
func (l *ledger) charge(budgets []budget, keys []string, now clock.Instant) *Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, b := range budgets {
		t := l.spent[keys[i]].live(now)
		if wait := b.wait(t, now); wait > 0 {
			return b.refusal(wait, b.spacing(t, now) > 0)
		}
	}
	for i, b := range budgets {
		l.spendLocked(b, keys[i], now)
	}
	return nil
}

// get returns the tally of key.
func (l *ledger) get(key string) tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.spent[key]
}

// quotaNear is how many of each hundred calls that tokend allows itself in a day are near WeChat's
// quota.
const quotaNear = 90

// spentToday reports whether so many calls for spec have been made in WeChat's day that its
// quota may be spent.
func (e *Engine) spentToday(spec *Spec, now clock.Instant, wall time.Time) bool {
	midnight := now.Add(untilMidnight(wall) - day)
	for _, b := range spec.Kind.policy().budgets {
		if b.window == day && e.ledger.get(b.key(spec)).since(midnight)*100 >= b.limit*quotaNear {
			return true
		}
	}
	return false
}

// sweepFrom is from how many tallies on a ledger looks for those that count nothing any more.
const sweepFrom = 1024

// sweep forgets the tallies that count nothing any more and returns their keys. It looks
// only when there are twice as many as it left the last time.
func (l *ledger) sweep(now clock.Instant) (idle []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.spent) < max(sweepFrom, 2*l.clean) {
		return nil
	}
	for key, t := range l.spent {
		if len(t.live(now).slices) == 0 {
			delete(l.spent, key)
			delete(l.lost, key)
			idle = append(idle, key)
		}
	}
	l.clean = len(l.spent)
	return idle
}

// usage is what a call takes out of which budgets.
type usage struct {
	budgets []budget
	forced  bool // by an operator who wants a new value
	early   bool // nobody waits for it, and what it is to replace is valid
}

// charge takes one call out of every budget, durably and together with recs, before the call
// is made, whether it will succeed or not: a crash in between costs one call of
// the budget and never one beyond it. Its error is a *guardError where there is none left. Where
// the disk refuses the call goes on, because that must not stop tokens, as long as there is
// some to spare.
func (e *Engine) charge(ctx context.Context, spec *Spec, use usage, recs ...record.Record) error {
	if len(use.budgets) == 0 && len(recs) == 0 {
		return nil
	}
	keys := make([]string, len(use.budgets))
	for i, b := range use.budgets {
		keys[i] = b.key(spec)
	}
	if refusal := e.ledger.charge(use.budgets, keys, e.clock.Now()); refusal != nil {
		return &guardError{reply: refusal, forced: use.forced}
	}
	if err := e.writeBudgets(ctx, keys, recs...); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if refusal := e.ledger.lose(use, keys, e.clock.Now()); refusal != nil {
			return &guardError{reply: refusal, forced: use.forced, early: use.early}
		}
		e.log.Error("cannot write that a call is made: counting in memory", "name", spec.Name, "error", err)
		if len(use.budgets) > 0 {
			e.unsaved.kick()
		}
	}
	if idle := e.ledger.sweep(e.clock.Now()); len(idle) > 0 {
		if err := e.forgetBudgets(ctx, idle); err != nil {
			e.log.Error("cannot delete budgets that are full again", "error", err)
		}
	}
	return nil
}

// writeBudgets writes what is spent under keys, as it stands when it is this call's turn to
// write, together with recs.
func (e *Engine) writeBudgets(ctx context.Context, keys []string, recs ...record.Record) error {
	names := slices.Clip(keys)
	for _, r := range recs {
		names = append(names, r.Key)
	}
	end, err := e.turns.take(ctx, names...)
	if err != nil {
		return err
	}
	defer end()
	recs = slices.Clip(recs)
	for _, key := range keys {
		if t := e.ledger.get(key); len(t.slices) > 0 {
			recs = append(recs, e.keepTally(key, t))
		}
	}
	if err := e.cfg.Store.Put(ctx, recs...); err != nil {
		return err
	}
	e.ledger.found(keys)
	return nil
}

// forgetBudgets deletes the records under keys that still count nothing.
func (e *Engine) forgetBudgets(ctx context.Context, keys []string) error {
	return e.sweepTable(ctx, record.Budgets, keys, func(key string) bool { return len(e.ledger.get(key).slices) == 0 })
}

// guard returns the error of a limit of tokend's own, which why names, and which is over after
// wait.
func guard(why string, wait time.Duration) *Error {
	return &Error{Reason: Limited, RetryAfter: wait, Message: "no call made: " + why}
}

// guardError says that tokend's own guard forbade the call.
type guardError struct {
	reply  *Error
	forced bool // by the guard of forced refreshes, which says nothing of ordinary ones
	early  bool // it can wait, and says nothing of calls that cannot
}

func (e *guardError) Error() string { return e.reply.Message }
