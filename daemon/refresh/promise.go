package refresh

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// This file is about codes that WeChat has sent and whose arrival was acknowledged: WeChat does not
// send them again, so each has a record until it is settled.

// Accept takes an authorization code that WeChat has sent at the time at and that expires
// at until. It returns when the code is on disk; the exchange follows, is
// tried again after passing faults, and continues after a restart.
func (e *Engine) Accept(ctx context.Context, owner string, code secret.Text, at, until time.Time) error {
	return e.AcceptFrom(ctx, owner, "", code, at, until)
}

// AcceptFrom is Accept of a code whose message names the customer, child. Until the code is
// exchanged, requests for the customer's credentials fail with the reason why it waits.
func (e *Engine) AcceptFrom(ctx context.Context, owner, child string, code secret.Text, at, until time.Time) error {
	if err := e.ready(ctx); err != nil {
		return err
	}
	onboarding, err := (*e.catalog.Load()).Onboarding(owner)
	if err != nil {
		return err
	}
	made := &exchange{owner: owner, value: code, came: e.clock.Now(), at: e.believed(at, e.clock.Time()), noted: true}
	if child != "" {
		made.grant = onboarding.Grant(child)
	}
	e.trying(made)
	note := *made
	// Known before there is a record of it: the same code from another client meets this exchange.
	x, err := e.register(made)
	if err != nil {
		return err
	}
	note.key = x.key
	if e.codes.has(x) {
		return e.acknowledge(ctx, x) // WeChat repeats itself
	}
	end := instantOf(e.clock.At(until))
	return e.outlast(ctx, func() error {
		kept, err := e.noteCode(ctx, x, e.keepCode(&note, end))
		if err != nil {
			e.codes.drop(x)
			return fmt.Errorf("keep an authorization code: %w", err)
		}
		if kept != nil {
			return e.acknowledge(ctx, kept)
		}
		note.tried = make(chan struct{})
		return e.promise(ctx, x, &note, end)
	})
}

// noteCode writes r, the record of x. Where another host has written one, or has exchanged the
// code, it returns the exchange that is promised here, too, or settled.
func (e *Engine) noteCode(ctx context.Context, x *exchange, r record.Record) (kept *exchange, err error) {
	for round := 1; ; round++ {
		end, err := e.locks.lock(ctx, r.Key)
		if err != nil {
			return nil, err
		}
		if settled := e.codes.settled(r.Key); settled != nil {
			end()
			return settled, nil
		}
		err = e.cfg.Store.Put(ctx, r)
		end()
		if err == nil || !e.renewed(err, round) {
			return nil, notStored(err)
		}
		if e.codes.has(x) {
			return x, nil
		}
	}
}

// settled returns the exchange of the code under key if it is settled, or nil.
func (cs *codes) settled(key string) *exchange {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if x := cs.known[key]; x != nil && x.settledLocked() {
		return x
	}
	return nil
}

// has reports whether x is promised or settled: nothing is to be written of it.
func (cs *codes) has(x *exchange) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return x.settledLocked() || x.until != 0 && !x.ended
}

// drop forgets x, of which there is no record, unless it is being exchanged.
func (cs *codes) drop(x *exchange) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if !x.started && cs.known[x.key] == x {
		delete(cs.known, x.key)
		cs.unexpectLocked(x)
	}
}

// promise makes x be tried until until, now that there is a record of it. Where it is settled
// already, the record goes; where it has failed while nobody was promised another try, another
// begins.
func (e *Engine) promise(ctx context.Context, x, another *exchange, until clock.Instant) error {
	e.codes.mu.Lock()
	if known := e.codes.known[x.key]; known != nil {
		x = known
	}
	if x.settledLocked() {
		e.codes.mu.Unlock()
		e.dropCode(x)
		return e.acknowledge(ctx, x)
	}
	defer e.codes.mu.Unlock()
	another.until = until
	return e.joinLocked(x, another)
}

// joinLocked makes x, which is not settled, take over what another of the same code knows, and be
// tried as long. Where x is over, another takes its place. codes.mu is held.
func (e *Engine) joinLocked(x, another *exchange) error {
	if x.ended {
		x = another
	}
	x.until = max(x.until, another.until)
	if another.at.After(x.at) {
		x.at = another.at
	}
	if x.grant == "" {
		x.grant = another.grant
	}
	e.codes.rememberLocked(x)
	return e.launchLocked(x)
}

// acknowledge returns what to tell WeChat of x, which it has sent before: an error only where it
// may bring a grant that is not durable.
func (e *Engine) acknowledge(ctx context.Context, x *exchange) error {
	e.codes.mu.Lock()
	open := !x.ended || x.useless
	e.codes.mu.Unlock()
	if open {
		return nil
	}
	return e.outcome(ctx, x)
}

// live returns the grant called name, or the *credential.Error that says what it waits for.
func (e *Engine) live(name string) (record.Grant, error) {
	grant, err := e.grants.live(name)
	if of, ok := err.(*credential.Error); ok && of.Reason == credential.Reauth {
		if told := e.expected(name, grant.Revoked); told != nil {
			err = told
		}
	}
	return grant, err
}

// expected returns why the grant called name is not there yet, if a code that was given after
// revoked is to bring it; nil where none is.
func (e *Engine) expected(name string, revoked time.Time) *credential.Error {
	e.codes.mu.Lock()
	defer e.codes.mu.Unlock()
	now := e.clock.Time()
	for _, x := range slices.Backward(e.codes.coming[name]) {
		switch {
		case outranks(revoked, x.at, now):
			continue
		case x.pause != nil:
			return x.pause.err(e.clock.Now())
		}
		return &credential.Error{Reason: credential.Unreachable, RetryAfter: time.Second, Message: "the customer's authorization is being exchanged"}
	}
	return nil
}

// orExpected returns err, or what a pending code waits for if err says that the customer of en must
// authorize.
func (e *Engine) orExpected(en *entry, err error) error {
	if of, ok := err.(*credential.Error); !ok || of.Reason != credential.Reauth {
		return err
	}
	spec, unknown := e.lookup(en.name)
	if unknown != nil {
		return err
	}
	if told := e.expected(spec.Grant, time.Time{}); told != nil {
		return told
	}
	return err
}

// writeCode writes how x stands, which was promised until until. Where another host has ended x,
// the code would take the place of what it was exchanged for.
func (e *Engine) writeCode(x *exchange, until clock.Instant) {
	end, _ := e.locks.lock(context.Background(), x.key)
	e.codes.mu.Lock()
	over, r := x.ended, e.keepCode(x, until)
	e.codes.mu.Unlock()
	if over {
		end()
		return
	}
	err := e.cfg.Store.Put(context.Background(), r)
	end()
	if err != nil && !e.renewed(err, 1) { // what another host has written of it will do
		e.log.Error("cannot write that an authorization code was tried: it counts for this run", "owner", x.owner, "error", err)
	}
}

// dropCode deletes the record of a code that is settled.
func (e *Engine) dropCode(x *exchange) {
	e.forgetCodes([]record.Record{{Table: record.Codes, Key: x.key}}, "owner", x.owner)
}

// forgetCodes deletes the records of settled codes, later if the disk refuses now. A refusal is
// logged with fields.
func (e *Engine) forgetCodes(settled []record.Record, fields ...any) {
	if err := e.deleteCodes(settled); err != nil {
		e.log.Error("cannot delete the records of settled authorization codes, retrying", append(fields, "error", err)...)
		e.codes.undeleted.Store(true)
		e.unsaved.kick()
	}
}

// deleteCodes deletes the records of settled codes, with their keys locked.
func (e *Engine) deleteCodes(settled []record.Record) error {
	for batch := range slices.Chunk(settled, sharedBatch) {
		names := make([]string, len(batch))
		for i, r := range batch {
			names[i] = r.Key
		}
		for round := 1; ; round++ {
			end, _ := e.locks.lock(context.Background(), names...)
			err := e.deleteRecords(batch)
			end()
			if err == nil {
				break
			}
			if !e.renewed(err, round) {
				return err
			}
		}
	}
	return nil
}

// resume takes up the codes that are promised and not known: those of an earlier run, and those of
// an owner that was not configured. It deletes the records of those that are settled.
func (e *Engine) resume() {
	kept, errs := readTable(e.cfg.Store, record.Codes, e.keptExchange)
	for _, err := range errs {
		e.log.Error("cannot read an authorization code: the customer must authorise again", "error", err)
	}
	var useless []record.Record
	now := e.clock.Now()
	for _, made := range kept {
		made.next = e.inTurn(made.key, made.next)
		x, err := e.register(made)
		switch {
		case made.until <= now, err == nil && !e.takeUp(x, made):
			useless = append(useless, record.Record{Table: record.Codes, Key: made.key})
			e.codes.drop(made)
		case err != nil:
			e.log.Warn("an authorization code waits for its owner to be configured", "owner", made.owner, "error", err)
		}
	}
	e.forgetCodes(useless)
}

// takeUp continues x, of whose code made is on disk, and reports whether the record is needed.
func (e *Engine) takeUp(x, made *exchange) (useful bool) {
	e.codes.mu.Lock()
	defer e.codes.mu.Unlock()
	if x.settledLocked() {
		return false
	}
	_ = e.joinLocked(x, made) // a stopping engine leaves it to the next run
	return true
}
