package refresh

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/policy"
	"tokend/daemon/quota"
	"tokend/daemon/record"
	"tokend/fetchers"
)

// hostState is one of the hosts: what a call has to heed because of where it goes, whatever it is
// for. That the one hangs keeps nobody from the others.
type hostState struct {
	policy.Host
	*limiter
	hanging hanging

	// listed is when the host's address was last taken to be on WeChat's lists, and lifted when a
	// success has last ended holds because of it: instants, zero for never. See succeeded.
	listed, lifted atomic.Int64
}

// newHosts returns the hosts of all, to each of which so many calls are made at once.
func newHosts(all []policy.Host, calls int) []*hostState {
	// A host that is narrowed has two places at least: an owner whose calls hang leaves one to the
	// others.
	const least = 2
	hosts := make([]*hostState, len(all))
	for i, h := range all {
		hosts[i] = &hostState{Host: h, limiter: newLimiter(calls, least, halves)}
		hosts[i].places.hanging = &hosts[i].hanging
	}
	return hosts
}

// host returns where the calls of spec go.
func (e *Engine) host(spec *Spec) *hostState { return e.hosts[spec.Host] }

// hostOf returns where the calls go that are made with the credential called parent.
func (e *Engine) hostOf(parent string) *hostState {
	spec, err := e.lookup(parent)
	if err != nil {
		return e.hosts[0]
	}
	return e.host(&spec)
}

// slot runs f, which makes a call to h for owner, within the bounds on calls at once, on faulty
// calls and on their time. Once f has begun, ctx alone ends it; before, a stop of the engine does
// too. failing reports that the last such call failed.
func (e *Engine) slot(ctx context.Context, h *hostState, owner string, r rank, failing bool, f func(ctx context.Context) error) (err error) {
	if err := cmp.Or(e.base.Err(), ctx.Err()); err != nil {
		return err
	}
	var whose any = owner
	round, ok := h.try(whose)
	if !ok {
		if round, err = e.awaitPlace(ctx, h, whose, r); err != nil {
			return err
		}
	}
	began := e.clock.Now()
	h.hanging.begin(whose, began)
	defer func() {
		api, ok := errors.AsType[*fetchers.APIError](err)
		now := e.clock.Now()
		h.hanging.end(whose, began, now, err)
		h.leave(now, whose, round, ok && api.Code == h.Crowded && h.Crowded != 0)
	}()
	if refusal := e.faulty(h, failing); refusal != nil {
		return refusal
	}
	ctx, cancelCall := context.WithTimeout(ctx, e.cfg.timeout())
	defer cancelCall()
	if err = f(ctx); !errors.Is(err, errDeadParent) {
		e.counts.fetches.Add(1)
	}
	if _, ok := errors.AsType[*fetchers.APIError](err); ok && h.Faults != nil {
		e.countFault(h)
	}
	return err
}

// awaitPlace waits for a place at h until ctx or the engine ends.
func (e *Engine) awaitPlace(ctx context.Context, h *hostState, owner any, r rank) (round int, err error) {
	waiting, end := e.untilStop(ctx)
	defer end()
	h.look(e.clock.Now())
	return h.enter(waiting, owner, r)
}

// look finds the owners whose calls hang, and lets others have the places that this frees.
func (h *hostState) look(now clock.Instant) {
	if h.hanging.look(now) {
		h.admit()
	}
}

// faulty returns the error of a caller whose call might be one faulty call too many.
func (e *Engine) faulty(h *hostState, failing bool) error {
	if h.Faults == nil {
		return nil
	}
	b := *h.Faults
	if failing {
		b.Limit = h.Failing
	}
	if wait := e.ledger.Wait(b, b.Key(""), e.clock.Now()); wait > 0 {
		return &guardError{reply: overspent(b.Refuse(wait))}
	}
	return nil
}

// countFault counts a faulty call. It is counted after the fact, and written only then, because
// calls that succeed are the rule: a kill in between forgets those that were under way.
func (e *Engine) countFault(h *hostState) {
	key := h.Faults.Key("")
	e.ledger.Spend(*h.Faults, key, e.clock.Now())
	if err := e.writeBudgets(context.Background(), []string{key}); err != nil {
		e.ledger.Forfeit(*h.Faults, key, e.clock.Now())
		e.unsaved.kick()
		e.log.Error("cannot write how many calls were faulty: counting in memory", "error", err)
	}
}

// payer returns whose calls b counts spec's with.
func payer(b *quota.Budget, spec *Spec) string { return b.Payer(spec.Account, spec.Owner) }

// quotaNear is how many of each hundred calls that tokend allows itself in a day are near WeChat's
// quota.
const quotaNear = 90

// spentToday reports whether so many calls for spec have been made in WeChat's day that its
// quota may be spent.
func (e *Engine) spentToday(spec *Spec, now clock.Instant, wall time.Time) bool {
	midnight := now.Add(untilMidnight(wall) - day)
	for _, b := range spec.Policy.Budgets {
		if b.Window == day && e.ledger.Get(b.Key(payer(&b, spec))).Since(midnight)*100 >= b.Limit*quotaNear {
			return true
		}
	}
	return false
}

// usage is what a call takes out of which budgets.
type usage struct {
	budgets []quota.Budget
	forced  bool // by an operator who wants a new value
	early   bool // nobody waits for it, and what it is to replace is valid
}

// keys returns the keys of the budgets of u for calls of spec.
func (u *usage) keys(spec *Spec) []string {
	keys := make([]string, len(u.budgets))
	for i, b := range u.budgets {
		keys[i] = b.Key(payer(&b, spec))
	}
	return keys
}

// charge takes one call out of every budget, durably and together with recs, before the call is
// made, whether it will succeed or not: a crash in between costs one call of the budget and never
// one beyond it. Its error is a *guardError where there is none left. Where the disk refuses the
// call is made all the same, because that must not stop tokens, as long as there is some to spare.
func (e *Engine) charge(ctx context.Context, spec *Spec, use usage, recs ...record.Record) error {
	if len(use.budgets) == 0 && len(recs) == 0 {
		return nil
	}
	keys := use.keys(spec)
	names := slices.Clip(keys)
	for _, r := range recs {
		names = append(names, r.Key)
	}
	for round := 1; ; round++ {
		end, err := e.locks.lock(ctx, names...)
		if err != nil {
			return err
		}
		err = e.chargeLocked(ctx, e.cfg.Store, spec, use, keys, recs)
		end()
		if err == nil || !e.renewed(err, round) {
			return e.pruned(ctx, err)
		}
	}
}

// chargeLocked is charge, by a write to to. The keys and the names of recs are locked. The call is
// not charged after the errors of peers that forbid it.
func (e *Engine) chargeLocked(ctx context.Context, to putter, spec *Spec, use usage, keys []string, recs []record.Record) error {
	if refusal := e.ledger.Charge(use.budgets, keys, e.clock.Now()); refusal != nil {
		return &guardError{reply: overspent(refusal), forced: use.forced}
	}
	err := to.Put(ctx, e.withTallies(recs, keys)...)
	if err == nil {
		e.ledger.Counted(keys)
		return nil
	}
	if forbids(err) {
		e.ledger.TakeBack(keys)
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if refusal := e.lose(use, keys); refusal != nil {
		return &guardError{reply: overspent(refusal), forced: use.forced, early: use.early}
	}
	if !errors.Is(err, ErrUnconfirmed) {
		e.log.Error("cannot write that a call is made: counting in memory", "name", spec.Name, "error", err)
	}
	if len(use.budgets) > 0 {
		e.unsaved.kick()
	}
	return nil
}

// lose counts a call that was charged in memory only, within what each budget has to spare.
func (e *Engine) lose(use usage, keys []string) *quota.Refusal {
	budgets, why := use.budgets, "the disk refuses"
	if hosts := e.sharing(); hosts > 0 {
		budgets, why = slices.Clone(budgets), "etcd is unreachable"
		for i, b := range budgets {
			budgets[i] = b.Among(hosts)
		}
	}
	return e.ledger.Lose(budgets, keys, use.early, why, e.clock.Now())
}

// pruned returns err, after a charge. Budgets that are full again are deleted now and then.
func (e *Engine) pruned(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	if idle := e.ledger.Prune(e.clock.Now()); len(idle) > 0 {
		if err := e.forgetBudgets(ctx, idle); err != nil {
			e.log.Error("cannot delete budgets that are full again", "error", err)
		}
	}
	return nil
}

// withTallies returns recs and the records of what is spent under keys, which are locked.
func (e *Engine) withTallies(recs []record.Record, keys []string) []record.Record {
	recs = slices.Clip(recs)
	for _, key := range keys {
		if t := e.ledger.Get(key); len(t.Slices) > 0 {
			recs = append(recs, e.keepTally(key, t))
		}
	}
	return recs
}

// writeBudgets writes what is spent under keys, as it is when the keys are locked.
func (e *Engine) writeBudgets(ctx context.Context, keys []string) error {
	for round := 1; ; round++ {
		end, err := e.locks.lock(ctx, keys...)
		if err != nil {
			return err
		}
		if err = e.cfg.Store.Put(ctx, e.withTallies(nil, keys)...); err == nil {
			e.ledger.Counted(keys)
		}
		end()
		if err == nil || !e.renewed(err, round) {
			return err
		}
	}
}

// forgetBudgets deletes the records under keys that still count nothing.
func (e *Engine) forgetBudgets(ctx context.Context, keys []string) error {
	return e.deleteEach(ctx, record.Budgets, keys, func(key string) bool { return len(e.ledger.Get(key).Slices) == 0 })
}

// saveBudgets writes what was spent while the disk refused.
func (e *Engine) saveBudgets() error {
	for batch := range slices.Chunk(e.ledger.Uncounted(), sharedBatch) {
		if err := e.writeBudgets(context.Background(), batch); err != nil {
			return err
		}
	}
	return nil
}

// The rest of this file ends the holds of an address that WeChat did not list. The operator who
// lists it does so for many accounts at once. Each account has a list of its own, so that only a
// success after a refusal says something about the others.

// liftEvery is how often a success may end the holds of others: where the address changes from call
// to call, or is on some lists only, each ended hold is one more call that is refused.
const liftEvery = time.Minute

// restarted takes the addresses to be listed: an operator restarts tokend after a fix, too.
func (e *Engine) restarted() {
	now := int64(instantOf(e.clock.Now()))
	for _, h := range e.hosts {
		h.listed.Store(now)
	}
}

// lifted reports whether h, which was kept of spec, has been ended while it was not in memory.
func (e *Engine) lifted(h *hold, spec *Spec) bool {
	since, reloaded := int64(h.since), e.reloaded.Load()
	return h.operators() && reloaded != 0 && since <= reloaded ||
		h.class == fetchers.AddressRefused && since <= e.host(spec).listed.Load()
}

// succeeded takes note that a call at h has succeeded; the one before it for the same thing has
// caused was, nil for nothing. If that was refused because of the address, the other holds of the
// kind at the host end. What was held is refreshed at the pace of what is due.
func (e *Engine) succeeded(h *hostState, was *hold) {
	if was == nil || was.class != fetchers.AddressRefused {
		return
	}
	last, now := h.lifted.Load(), e.clock.Now()
	if last != 0 && int64(now)-last < int64(liftEvery) || !h.lifted.CompareAndSwap(last, int64(instantOf(now))) {
		return
	}
	e.liftEndpoints(func(h *hold) bool { return h.class == fetchers.AddressRefused })
	h.listed.Store(int64(now))
	n := 0
	e.index.each(func(en *entry) bool {
		if e.lift(en, h, now) {
			n++
		}
		return true
	})
	if n > 0 {
		e.log.Info("WeChat accepts this host's address now: ended the holds of other credentials", "credentials", n)
	}
}

// shorten makes h end when a success at at may end holds again, if h is an address's that was
// refused less than liftEvery after one has done so: the operator may be completing the lists one
// by one.
func (h *hold) shorten(at *hostState) {
	last := at.lifted.Load()
	if next := Instant(last).Add(liftEvery); h.class == fetchers.AddressRefused && last != 0 && h.since < next {
		h.until = min(h.until, next)
	}
}

// lift ends the hold of en if it is one of an address that was refused by h, and reports whether it
// was.
func (e *Engine) lift(en *entry, h *hostState, now Instant) bool {
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.hold == nil || en.hold.class != fetchers.AddressRefused || en.paused(now) == nil || en.gone() != nil {
		return false
	}
	spec, err := e.lookup(en.name)
	if err != nil || e.host(&spec) != h {
		return false
	}
	e.applyLocked(en, holdEnded{now}, now)
	return true
}
