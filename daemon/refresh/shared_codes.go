package refresh

import (
	"context"
	"errors"
	"slices"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/record"
)

// This file is about authorization codes of which other hosts know, too. A code is claimed before
// each try. The host that has exchanged it stores what it has brought, and the others stop trying.

// claimCode obtains a claim for a try of x. Its error is a *peersError, or errSettled if another
// host has exchanged the code.
func (e *Engine) claimCode(x *exchange, p *permit) error {
	if e.cfg.Peers == nil {
		return nil
	}
	p.rotates = true
	for round := 1; ; {
		err := e.tryClaimCode(x, p)
		taken, busy := errors.AsType[*TakenError](err)
		switch {
		case busy:
			x.shared = true
			if err := e.awaitCode(x, taken.Host); err != nil {
				return err
			}
		case newerIn(err) != nil:
			if !e.renewed(err, round) {
				return &peersError{reply: errContended, wait: apartPause}
			}
			round++
		case errors.Is(err, ErrApart) && p.rotates && e.lastThird(x):
			p.rotates = false // later may be too late: without the other hosts
		case errors.Is(err, ErrApart):
			return &peersError{reply: unusedReply(err), wait: apartPause, apart: true}
		case errors.Is(err, ErrUnconfirmed):
			return nil
		default:
			return err
		}
	}
}

var errSettled = errors.New("another host has exchanged the code")

// tryClaimCode asks for a claim once.
func (e *Engine) tryClaimCode(x *exchange, p *permit) error {
	end, _ := e.locks.lock(context.Background(), x.key)
	defer end()
	e.codes.mu.Lock()
	over, grant, until := x.ended, x.grant, x.until
	var recs []record.Record
	if until != 0 {
		recs = append(recs, e.keepCode(x, until))
	}
	e.codes.mu.Unlock()
	if over {
		return errSettled
	}
	c := &claimant{engine: e, want: Want{Table: record.Codes, Name: x.key, Grant: grant, Rotates: p.rotates, Alone: !p.rotates}}
	err := c.Put(e.base, recs...)
	p.claim = c.claim
	return err
}

// awaitCode waits until there is news of x, which host is exchanging.
func (e *Engine) awaitCode(x *exchange, host string) error {
	changed := e.claims.await(x.key, host)
	defer e.claims.leave(x.key)
	e.codes.mu.Lock()
	settled := x.settled
	e.codes.mu.Unlock()
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-changed:
	case <-settled:
	case <-t.C:
	case <-e.base.Done():
		return stopping()
	}
	return nil
}

// lastThird reports whether x was promised and its code has lived for two thirds of what was left
// of its life when it came. Its own time does not count: this host's wall clock may be wrong.
func (e *Engine) lastThird(x *exchange) bool {
	e.codes.mu.Lock()
	defer e.codes.mu.Unlock()
	if x.until == 0 {
		return false
	}
	return 3*x.until.Sub(e.clock.Now()) <= x.until.Sub(x.came)
}

// unusedReply returns the error for a client whose code was not used because of err.
func unusedReply(err error) *credential.Error {
	return apartError(err, func(reason string) string { return reason + ": the code was not used" })
}

// endCode ends what there is of x, which is over: its claim and its record. Nobody tries it again.
func (e *Engine) endCode(x *exchange, p *permit) {
	if p.claim != nil {
		end, _ := e.locks.lock(context.Background(), x.key)
		err := p.landed(lander{p.claim, p.rotates}.Put(context.Background(), record.Record{Table: record.Codes, Key: x.key}))
		end()
		if err == nil || pending(err) {
			return
		}
		e.renewed(err, mostRounds)
		p.give(e, x.key)
	}
	e.dropCode(x)
}

// inTurn returns when this host may try a code at next that others know, too.
func (e *Engine) inTurn(key string, next clock.Instant) clock.Instant {
	if e.cfg.Peers == nil {
		return next
	}
	place, _ := e.cfg.Peers.Rank(key)
	return max(next, e.clock.Now()).Add(time.Duration(place) * rankPause)
}

// followCode takes up the stored code r, which WeChat may have sent to another host.
func (e *Engine) followCode(r record.Record) error {
	if r.Value == nil {
		e.forgo(r.Key)
		return nil
	}
	made, err := e.keptExchange(r)
	if err != nil || made.until <= e.clock.Now() {
		return err
	}
	made.next = e.inTurn(made.key, made.next)
	if x, err := e.register(made); err == nil {
		e.takeUp(x, made)
	} // else its owner is not configured here
	return nil
}

// forgo ends the tries of a code whose record was deleted: another host has found out that it
// cannot be exchanged any more.
func (e *Engine) forgo(key string) {
	if r, err := e.cfg.Store.Get(record.Exchanged, key); err != nil || r.Value != nil {
		return // it was exchanged
	}
	e.codes.mu.Lock()
	defer e.codes.mu.Unlock()
	if x := e.codes.known[key]; x != nil && x.until != 0 && !x.ended {
		x.err = &credential.Error{Reason: credential.Refused, RetryAfter: credential.Never, Message: "the authorization code is used up or has expired"}
		x.useless = true
		e.codes.endLocked(x)
		x.settle()
	}
}

// followSpent takes over that the stored code r was exchanged.
func (e *Engine) followSpent(r record.Record) error {
	if r.Value == nil {
		e.codes.forgetSpent(r.Key)
		return nil
	}
	spent, err := e.keptSpent(r)
	if err != nil {
		return err
	}
	e.codes.mu.Lock()
	defer e.codes.mu.Unlock()
	switch x := e.codes.known[r.Key]; {
	case x != nil && x.settledLocked() && x.err == nil:
	case x != nil && !x.ended:
		x.name, x.err, x.forget = spent.name, nil, spent.forget
		e.codes.endLocked(x)
		x.settle()
		e.codes.spent = append(e.codes.spent, x)
		e.log.Info("customer authorized by another host", "name", x.name)
	default:
		e.codes.rememberLocked(spent)
		e.codes.spent = append(e.codes.spent, spent)
	}
	return nil
}

// forgetSpent forgets the exchanged code under key, whose record another host has deleted.
func (cs *codes) forgetSpent(key string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if x := cs.known[key]; x != nil && x.forget != 0 && x.ended {
		delete(cs.known, key)
	}
	cs.spent = slices.DeleteFunc(cs.spent, func(x *exchange) bool { return x.key == key })
}

// settle stops the tries of x, which is over.
func (x *exchange) settle() {
	if x.settled != nil {
		close(x.settled)
		x.settled = nil
	}
}
