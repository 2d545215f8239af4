package refresh

import (
	"context"
	"errors"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/record"
)

// land takes over an answer: durable, then visible, then known to those who wait. It does so with
// the names of the entry and of the grant locked, so that disk and memory change in the same order.
func (x *fetch) land() {
	arrived := x.engine.clock.Now()
	for x.follows(x.landOnce(arrived)) {
	}
}

// landOnce is land of an answer that arrived then, unless newer records of another host are in the
// way, which it returns.
func (x *fetch) landOnce(arrived clock.Instant) *NewerError {
	e, en := x.engine, x.en
	end := x.lock()
	e.dateAgain()
	before := en.current.Load()
	if x.outdone(before) {
		x.landGrant()
		end()
		x.yield()
		return nil
	}
	after, same := settle(x.spec.Policy, before, x.got)
	x.attempt.Outcome = "ok"
	if same {
		x.attempt.Outcome = "same"
	}
	err := x.commit(x.records(after)...)
	if newer := newerIn(err); newer != nil {
		end()
		return newer
	}
	refused := err != nil
	if x.spec.Grant != "" {
		e.grants.note(en.name)
	}
	if refused && !errors.Is(err, ErrUnconfirmed) {
		e.log.Error("cannot write a value: it is served from memory and written when that is possible", "name", en.name, "error", err)
	}
	now := e.clock.Now()
	en.mu.Lock()
	was := en.hold
	if c := en.current.Load(); same && c != before {
		after, _ = settle(x.spec.Policy, c, x.got) // it has been dated again
	}
	gone := e.applyLocked(en, valuePublished{
		value: after, refresh: x.refreshAt(after, now, same), refused: refused, same: same, attempt: x.attempt,
	}, now)
	en.mu.Unlock()
	end()
	if gone != nil {
		// It went out of service during the call or the write. A reload then deletes what was
		// written.
		x.flight.finish(nil, gone)
		return nil
	}
	if after.end > arrived && after.end <= now {
		x.flight.finish(nil, errChanged) // it has expired since: waiters look again
	} else {
		x.flight.finish(after, nil)
	}
	if refused && !pending(err) {
		e.unsaved.add(en)
	}
	e.counts.refreshed(x.spec.Policy, &x.attempt)
	x.logSuccess(after, same, was.failed(), now)
	e.wakeChildren(en.name)
	e.succeeded(e.host(x.spec), was)
	return nil
}

// lock locks the names of the entry and of its grant, and returns what unlocks them. A stop of the
// engine does not cut this short: what was fetched is written.
func (x *fetch) lock() (end func()) {
	names := []string{x.en.name}
	if x.spec.Grant != "" {
		names = append(names, x.spec.Grant)
	}
	end, _ = x.engine.locks.lock(context.Background(), names...)
	return end
}

// records returns what is to be written when c becomes the value: none out of service.
func (x *fetch) records(c *cached) (recs []record.Record) {
	x.en.mu.Lock()
	written, gone := x.en.written, x.en.gone()
	x.en.mu.Unlock()
	if gone != nil && !(x.permit.claim != nil && gone.Reason == credential.NotFound) { // else of use to other hosts
		return nil
	}
	// A repetition too: the next run polls on from it.
	recs = append(recs, x.engine.keep(x.en.name, x.spec.Target, c))
	if written {
		recs = append(recs, record.Record{Table: record.Holds, Key: x.en.name})
	}
	return recs
}

// commit makes recs durable and, in the same step, the grant that came with the
// answer: between the two a crash would lose the one or orphan the other. The store's own
// bounds apply, not the flight's: what has been fetched must be kept, also by a
// daemon that is stopping. The grant's name is locked.
func (x *fetch) commit(recs ...record.Record) error {
	e, got := x.engine, x.got
	if x.spec.Grant == "" || got.next == "" || got.next == got.grant {
		if len(recs) == 0 {
			return nil
		}
		return x.permit.landed(x.lands().Put(context.Background(), recs...))
	}
	err := x.permit.landed(e.grants.rotate(x.lands(), x.spec.Grant, got.grant, got.next, e.clock.Time(), recs))
	if e.grants.lacks(x.spec.Grant) {
		e.unsaved.kick()
	}
	return err
}

// landGrant stores the grant that came with an answer whose value is not put in force. WeChat may
// have given it last. The grant's name is locked.
func (x *fetch) landGrant() {
	e, got := x.engine, x.got
	if x.spec.Grant == "" || got.next == "" || got.next == got.grant {
		return
	}
	err := x.permit.landed(e.grants.rotate(x.lands(), x.spec.Grant, got.grant, got.next, e.clock.Time(), nil))
	if err != nil {
		e.log.Error("cannot store the grant of a late answer", "name", x.spec.Grant, "error", err)
	}
}

// refreshAt returns when c, which has just come, is refreshed.
func (x *fetch) refreshAt(c *cached, now clock.Instant, same bool) clock.Instant {
	if x.engine.reconfigured(x.spec) && x.engine.bySecret(x.spec) {
		return now.Add(soonest) // by the secret in force; not at once: see failure
	}
	return x.engine.due(x.en, c, now, same)
}

func (x *fetch) logSuccess(c *cached, same bool, failures int, now clock.Instant) {
	level := x.engine.log.Info
	if same {
		level = x.engine.log.Debug
	}
	a := &x.attempt
	level("refreshed", "name", x.en.name, "cause", a.Cause, "outcome", a.Outcome, "took", a.Took.Round(time.Millisecond),
		"expires_in", c.end.Sub(now).Round(time.Second), "fingerprint", x.engine.fingerprints.of(c.text), "failures_before", failures)
}

// handOver gives what was fetched for one request to its caller, and keeps nothing.
func (x *fetch) handOver() {
	e, en := x.engine, x.en
	x.attempt.Outcome = "ok"
	en.mu.Lock()
	was := en.hold
	e.applyLocked(en, requestAnswered{sent: x.got.sent, attempt: x.attempt}, e.clock.Now())
	if en.hold != nil {
		was = nil // it continues
	}
	en.mu.Unlock()
	e.counts.refreshed(x.spec.Policy, &x.attempt)
	got := x.got
	x.flight.finish(&cached{text: got.text, issued: got.sent, end: got.sent.Add(got.life), life: got.life}, nil)
	e.succeeded(e.host(x.spec), was)
}
