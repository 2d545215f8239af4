package refresh

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers"
)

// permit is what the other hosts allow a flight. Its zero value is of a flight that needs nobody's
// permission.
type permit struct {
	claim   Claim // nil for none
	rotates bool  // no call is made without permission

	// sent: a call may have been sent whose answer is unknown or not stored. before is the same
	// without the call that is under way.
	sent, before bool

	rounds int           // in which other hosts were first
	waits  clock.Instant // since when another host is waited for; zero for not at all
	alone  bool          // it was waited for long enough
}

// peersError says that no call was made because of the other hosts. It says nothing of WeChat or
// the credential.
type peersError struct {
	reply *credential.Error
	wait  time.Duration // until the next try
	apart bool          // from the other hosts
}

func (e *peersError) Error() string { return e.reply.Message }

var (
	// errFollowed says that another host has fetched the value that a flight is for.
	errFollowed = errors.New("another host has fetched the value")

	// errTooLate says that a call might take longer than the permission for it lasts.
	errTooLate = errors.New("the permission does not last long enough for a call")
)

const (
	// alonePatience is how long a waiting client lets another host fetch what WeChat repeats.
	alonePatience = time.Second

	// takenPause is how long the schedule leaves a credential alone that another host is fetching.
	takenPause = 2 * time.Second

	// apartPause is the time between two tries to reach the other hosts.
	apartPause = 5 * time.Second
)

// forbids reports whether err, of a write by a claim or for one, means that the call is not made.
func forbids(err error) bool {
	_, taken := errors.AsType[*TakenError](err)
	return taken || newerIn(err) != nil || errors.Is(err, ErrApart) && !errors.Is(err, ErrUnconfirmed)
}

// renewed takes over what other hosts have stored, if err says that they were first, and reports
// whether the change is to be prepared again. The names of the change are not locked.
func (e *Engine) renewed(err error, round int) bool {
	newer := newerIn(err)
	if newer == nil {
		return false
	}
	e.Follow(newer.Records...)
	return e.again(round)
}

// again waits for a moment after a few rounds, and reports whether there is to be another.
func (e *Engine) again(round int) bool {
	if round >= mostRounds {
		return false
	}
	if round > 2 {
		e.pause(context.Background(), doubled(10*time.Millisecond, round-2, time.Second))
	}
	return true
}

// shares reports whether other hosts fetch the same.
func (x *fetch) shares() bool { return x.engine.cfg.Peers != nil && !x.spec.Policy.PerAsk }

// claim charges a call to use by the claim of the flight, which it obtains first. intent is stored
// with it.
func (x *fetch) claim(use usage, intent []record.Record) error {
	e, p := x.engine, &x.permit
	p.rotates = x.spec.Policy.Rotates
	keys := use.keys(x.spec)
	names := append(slices.Clip(keys), x.en.name)
	if x.spec.Grant != "" {
		names = append(names, x.spec.Grant)
	}
	end, err := e.locks.lock(x.ctx, names...)
	if err != nil {
		return err
	}
	switch err = x.look(); {
	case err != nil:
	case p.claim != nil:
		err = e.chargeLocked(x.ctx, p.claim, x.spec, use, keys, intent)
	default:
		c := &claimant{engine: e, want: Want{Table: record.Credentials, Name: x.en.name, Grant: x.spec.Grant, Rotates: p.rotates, Alone: p.alone}}
		err = e.chargeLocked(x.ctx, c, x.spec, use, keys, intent)
		p.claim = c.claim
	}
	end()
	return e.pruned(x.ctx, err)
}

// claimant obtains a claim for what it wants by a write.
type claimant struct {
	engine *Engine
	want   Want
	claim  Claim // nil if it has obtained none
}

func (c *claimant) Put(ctx context.Context, recs ...record.Record) (err error) {
	c.claim, err = c.engine.cfg.Peers.Claim(ctx, c.want, recs...)
	if err == nil || c.claim != nil || forbids(err) || ctx.Err() != nil {
		return err
	}
	apart, ok := errors.AsType[*ApartError](err)
	if !ok {
		c.engine.log.Error("cannot obtain permission to call", "name", c.want.Name, "error", err)
		apart = &ApartError{Reason: unreachable}
	}
	return apart
}

// look returns why the flight needs no call, or cannot make one: errFollowed, or what has come in
// the meantime. The names of the entry and of its grant are locked.
func (x *fetch) look() error {
	if x.spec.Grant != "" {
		grant, err := x.engine.live(x.spec.Grant)
		if err != nil {
			return err
		}
		x.grant = x.grantFor(grant.Value)
	}
	en, f := x.en, x.flight
	en.mu.Lock()
	defer en.mu.Unlock()
	if f.cause == credential.CauseRefresh {
		return nil
	}
	now := x.engine.clock.Now()
	switch c := en.valid(now); {
	case c == nil:
	case f.rejected != "" && c.text == f.rejected:
	case f.rejected == "" && f.background() && en.refresh != 0 && en.refresh <= now:
	default:
		return errFollowed
	}
	if h := en.paused(now); h != nil {
		return &peersError{reply: h.err(now)}
	}
	return nil
}

// lookAgain reports whether the flight looks at its credential again and pays for a call again,
// after err. Otherwise it returns how the call has ended, for a host with peers too.
func (x *fetch) lookAgain(err error) (again bool, end error) {
	if err == nil || !x.shares() {
		return false, err
	}
	taken, busy := errors.AsType[*TakenError](err)
	newer := newerIn(err)
	switch {
	case err == errTooLate:
		x.give()
	case newer != nil:
		x.engine.Follow(newer.Records...)
		if errors.Is(newer, ErrOvertaken) {
			x.give()
		}
	case busy && x.flight.background():
		return false, &peersError{reply: errChanged, wait: takenPause}
	case busy:
		end = x.await(taken.Host)
		return end == nil, end
	case errors.Is(err, ErrApart):
		return false, &peersError{reply: apartReply(err), wait: apartPause, apart: true}
	default:
		return false, err
	}
	if x.permit.rounds++; !x.engine.again(x.permit.rounds) {
		return false, &peersError{reply: errContended, wait: apartPause}
	}
	return true, nil
}

// await waits until there is news of what host is fetching, but not for long: what this host knows
// of the claim may be behind. It returns an error if the engine stops.
func (x *fetch) await(host string) error {
	e, p := x.engine, &x.permit
	now, most := e.clock.Now(), time.Second
	if p.waits == 0 {
		p.waits, most = instantOf(now), 100*time.Millisecond
	}
	if rest := p.waits.Add(alonePatience).Sub(now); !p.rotates && rest < most {
		most = max(rest, 0)
	}
	changed := e.claims.await(x.en.name, host)
	defer e.claims.leave(x.en.name)
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
	case <-e.base.Done():
		return stopping()
	}
	p.alone = !p.rotates && e.clock.Now().Sub(p.waits) >= alonePatience
	return nil
}

// unreachable is the reason of an [ApartError] that does not tell more.
const unreachable = "etcd unreachable"

// apartReply returns the error for clients of a call that was not made because of err.
func apartReply(err error) *credential.Error {
	return apartError(err, func(reason string) string {
		return "no call made: " + reason + ", and rotating tokens are not fetched without etcd"
	})
}

// apartError returns the error for clients of err. explain adds what that means for the client,
// unless etcd answers: then its error is enough.
func apartError(err error, explain func(reason string) string) *credential.Error {
	a, ok := errors.AsType[*ApartError](err)
	if !ok {
		a = &ApartError{unreachable}
	}
	text := a.Reason
	if !refusesWrites(a) {
		text = explain(text)
	}
	return &credential.Error{Reason: credential.Unreachable, RetryAfter: apartPause, Message: text}
}

// refusesWrites reports whether the store of all hosts answers, and refuses writes.
func refusesWrites(err *ApartError) bool { return strings.HasPrefix(err.Reason, "etcd refuses writes") }

// cutOff reports whether err, of a write, says that the store of all hosts does not answer. Another
// write would wait as long for nothing.
func cutOff(err error) bool {
	a, ok := errors.AsType[*ApartError](err)
	return ok && !refusesWrites(a)
}

// begin notes that a call is about to be sent. It returns errTooLate if the call might not end in
// time.
func (p *permit) begin(e *Engine) error {
	if p.claim != nil && p.rotates && p.claim.Until() < e.clock.Now().Add(e.cfg.timeout()) {
		return errTooLate
	}
	p.before, p.sent = p.sent, true
	return nil
}

// answered notes that the call has ended with err. Nothing is unknown if WeChat has refused the
// call, or it was not sent.
func (p *permit) answered(err error) {
	_, refused := errors.AsType[*fetchers.APIError](err)
	lost, unanswered := errors.AsType[*fetchers.TransportError](err)
	if refused || unanswered && !lost.Sent {
		p.sent = p.before
	}
}

// lands returns what stores the answer of the flight.
func (x *fetch) lands() putter {
	if x.permit.claim != nil {
		return lander{x.permit.claim, x.permit.rotates}
	}
	return x.engine.cfg.Store
}

// landed returns err, with which the landing of the flight has ended. It is the end of the claim,
// unless the flight is to land again.
func (p *permit) landed(err error) error {
	if p.claim != nil && !errors.Is(err, ErrRenewed) {
		p.claim, p.sent = nil, false
	}
	return err
}

// follows takes over what has kept a flight from landing, and reports whether it is to land again.
// Otherwise the flight ends with what is in force.
func (x *fetch) follows(newer *NewerError) bool {
	if newer == nil {
		return false
	}
	x.engine.Follow(newer.Records...)
	x.permit.rounds++
	if !errors.Is(newer, ErrOvertaken) && x.engine.again(x.permit.rounds) {
		return true
	}
	x.yield()
	return false
}

// outdone reports whether c, which is in force, was issued later than what the flight has brought:
// by a host that did not wait for this one, or with another grant. If a rotating value has come
// during the call, by a code, nobody knows which of the two is WeChat's newest.
func (x *fetch) outdone(c *cached) bool {
	if x.permit.claim == nil || c == nil || c.text == x.got.text {
		return false
	}
	came := x.stood == nil || x.stood.text != c.text
	return c.issued > x.got.sent || came && x.permit.rotates
}

// give ends the claim of the flight, if it has one, without an answer.
func (x *fetch) give() { x.permit.give(x.engine, x.en.name) }

// give ends the claim for what is called name, if there is one, without an answer.
func (p *permit) give(e *Engine, name string) {
	if p.claim == nil {
		return
	}
	claim, sent := p.claim, p.sent && p.rotates
	p.claim, p.sent = nil, false
	if err := claim.Give(context.Background(), sent); err != nil {
		e.log.Warn("cannot give back the permission to call, retrying", "name", name, "error", err)
	}
}

// yield ends the flight with the value in force.
func (x *fetch) yield() {
	e, en := x.engine, x.en
	en.mu.Lock()
	now := e.clock.Now()
	c := en.valid(now)
	if c != nil && c.text == x.flight.rejected {
		c = nil // the next flight replaces it
	}
	gone := e.applyLocked(en, flightAbandoned{refresh: en.later(now.Add(soonest)), unpaid: x.flight.paid}, now)
	en.mu.Unlock()
	switch {
	case gone != nil:
		x.flight.finish(nil, gone)
	case c == nil:
		x.flight.finish(nil, errChanged)
	default:
		x.flight.finish(c, nil)
	}
}

// giveUp ends the flight, which has made no call because of p. While this host is apart from the
// others, they may replace a value that is due, so it is served as long as the value before it
// would be.
func (x *fetch) giveUp(p *peersError) {
	e, en := x.engine, x.en
	en.mu.Lock()
	now := e.clock.Now()
	e.applyLocked(en, flightAbandoned{refresh: en.later(now.Add(p.wait)), unpaid: x.flight.paid}, now)
	if p.apart {
		e.cutLocked(en, now, 0)
	}
	en.mu.Unlock()
	x.flight.finish(nil, p.reply)
}

// later returns at, if en is due before it, or zero. en.mu is held.
func (en *entry) later(at clock.Instant) clock.Instant {
	if en.refresh == 0 || en.refresh >= at {
		return 0
	}
	return at
}
