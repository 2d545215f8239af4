package refresh

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"tokend/daemon/quota"
	"tokend/fetchers"
)

// host is one of WeChat's two hosts: what a call has to heed because of where it goes, whatever
// it is for. That the one hangs keeps nobody from the other.
type host struct {
	*limiter

	// faults is the guard before what the host does to a caller whose calls are often wrong;
	// nil where it does nothing.
	faults *quota.Budget

	// listed is when the host's address was last taken to be on WeChat's lists, and lifted when a
	// success has last ended holds because of it: instants, zero for never. See listed.go.
	listed, lifted atomic.Int64
}

// "2000 erroneous calls in one hour: blocked for one hour", of the host's address and thus of
// all accounts. Whoever failed the last time is stopped at two thirds of tokend's own
// limit, so that a wrong secret with a thousand customers does not stop those in order.
const (
	faultsLimit   = 1500
	faultsFailing = 1000
	faultsSpare   = 400 // the rest is for calls that are under way when they come to be known
)

// crowded is WeCom's errcode for too many calls at once. It is the one errcode known here
// by its number: what it calls for is what [fetchers.Retry] says, only with fewer at once.
const crowded = 45033

func newHosts(calls int) (weixin, wecom host) {
	faults := &quota.Budget{Word: "erroneous calls", Calls: "calls that WeCom refuses", Window: time.Hour, Limit: faultsLimit, Spare: faultsSpare, Scope: quota.PerHost}
	// A host that is narrowed has two places at least: an owner whose calls hang leaves one to the
	// others.
	const least = 2
	return host{limiter: newLimiter(calls, least, halves)}, host{limiter: newLimiter(calls, least, halves), faults: faults}
}

// host returns where the calls of p go, which are made with parent: a kind that both hosts have
// goes to its parent's.
func (e *Engine) host(p *policy, parent string) *host {
	if p.perAsk || p == &policies[0] {
		if spec, err := (*e.catalog.Load()).Lookup(parent); err == nil {
			p = spec.Kind.policy()
		}
	}
	if p.wecom {
		return &e.wecom
	}
	return &e.weixin
}

// slot runs f, which makes a call to h for owner, within the bounds on calls at once, on faulty
// calls and on their time. Once f has begun, ctx alone ends it; before, a stop of the engine does
// too. failing reports that the last such call failed.
func (e *Engine) slot(ctx context.Context, h *host, owner string, r rank, failing bool, f func(ctx context.Context) error) (err error) {
	if err := e.base.Err(); err != nil {
		return err
	}
	waiting, end := e.untilStop(ctx)
	defer end()
	round, err := h.enter(waiting, owner, r)
	if err != nil {
		return err
	}
	defer func() {
		api, ok := errors.AsType[*fetchers.APIError](err)
		h.leave(e.clock.Now(), owner, round, ok && h.faults != nil && api.Code == crowded)
	}()
	if refusal := e.faulty(h, failing); refusal != nil {
		return refusal
	}
	ctx, cancelCall := context.WithTimeout(ctx, e.cfg.timeout())
	defer cancelCall()
	if err = f(ctx); !errors.Is(err, errDeadParent) {
		e.counts.fetches.Add(1)
	}
	if _, ok := errors.AsType[*fetchers.APIError](err); ok && h.faults != nil {
		e.blame(h)
	}
	return err
}

// faulty returns the error of a caller whose call might be one faulty call too many.
func (e *Engine) faulty(h *host, failing bool) error {
	if h.faults == nil {
		return nil
	}
	b := *h.faults
	if failing {
		b.Limit = faultsFailing
	}
	if wait := e.ledger.Wait(b, b.Key(""), e.clock.Now()); wait > 0 {
		return &guardError{reply: overspent(b.Refuse(wait))}
	}
	return nil
}

// blame counts a faulty call. It is counted after the fact, and written only then, because calls
// that succeed are the rule: a kill in between forgets those that were under way.
func (e *Engine) blame(h *host) {
	key := h.faults.Key("")
	e.ledger.Spend(*h.faults, key, e.clock.Now())
	if err := e.writeBudgets(context.Background(), []string{key}); err != nil {
		e.ledger.Forfeit(*h.faults, key, e.clock.Now())
		e.unsaved.kick()
		e.log.Error("cannot write how many calls were faulty: counting in memory", "error", err)
	}
}
