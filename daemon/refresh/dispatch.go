package refresh

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/record"
)

// dispatch begins what is due, in workers of g: see [Engine.work].
func (e *Engine) dispatch(ctx context.Context, g *errgroup.Group) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	qs := newHostQueues(len(e.hosts), e.cfg.scheduled(), e.cfg.calls())
	for {
		wait := e.collect()
		for i := range qs.of {
			wait = min(wait, e.work(g, qs, &qs.of[i]))
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			e.clock.Resync()
		case <-e.schedule.kick:
		case x := <-qs.done:
			qs.landed(x)
		}
	}
}

// collect takes what is due for a refresh now to where it waits, announces what has ended, and
// returns how long nothing more is due.
func (e *Engine) collect() time.Duration {
	for {
		now := e.Now()
		en, wait := e.schedule.next(now)
		if en == nil {
			return wait
		}
		en.mu.Lock()
		if en.dueLocked(now) {
			e.tellLocked(en, now, false)
			e.queueLocked(en, now)
		} else {
			e.applyLocked(en, timePassed{}, now)
		}
		en.mu.Unlock()
	}
}

// readyLocked reports whether en may be refreshed now; if not, it is planned. en.mu is held.
func (e *Engine) readyLocked(en *entry, now clock.Instant) bool {
	due := en.dueLocked(now)
	h := en.paused(now)
	if due && h == nil {
		return true
	}
	switch {
	case due:
		e.applyLocked(en, refreshMoved{h.until}, now)
	case en.flight == nil:
		e.applyLocked(en, timePassed{}, now)
	}
	return false
}

// renew refreshes en if that is still due, and returns when it is done what its end tells of the
// host.
func (e *Engine) renew(en *entry) ending {
	en.mu.Lock()
	now := e.clock.Now()
	if !e.readyLocked(en, now) {
		en.mu.Unlock()
		return endedIdle
	}
	p := en.policy()
	if p.Pushed > 0 || p.Lapses && !en.outdated {
		en.mu.Unlock()
		if p.Pushed > 0 {
			e.quiet(en)
			return endedIdle
		}
		if e.lapse(en, now) {
			return endedIdle
		}
		en.mu.Lock()
		if !e.readyLocked(en, e.clock.Now()) { // what was so before the lock was given up
			en.mu.Unlock()
			return endedIdle
		}
	}
	cause := credential.CauseSchedule
	if en.started {
		cause = credential.CauseStart
	}
	f, err := e.startLocked(en, cause)
	en.mu.Unlock()
	if err != nil {
		return endedIdle
	}
	<-f.done
	return en.hostOutcome(f.err)
}

// lapse lets a customer's credential go that nobody has asked for in its whole life, and reports
// whether there is nothing to refresh. While its value lives it stays; then it takes no
// memory and no place on the disk. A hold stays on disk: it answers the next
// reader without a call.
func (e *Engine) lapse(en *entry, now clock.Instant) bool {
	if !en.unasked(now) {
		return false
	}
	if c := en.valid(now); c != nil {
		en.mu.Lock()
		e.applyLocked(en, refreshMoved{restUntil(c, now)}, now)
		en.mu.Unlock()
		return true
	}
	end, err := e.locks.lock(e.base, en.name)
	if err != nil {
		return true // the engine is stopping
	}
	defer end()
	en.mu.Lock()
	if en.gone() != nil || en.flight != nil || !en.unasked(now) {
		en.mu.Unlock()
		return en.gone() != nil
	}
	e.dropLocked(en, errChanged)
	en.mu.Unlock()
	// A reader that asks now makes another entry, which writes when the name is unlocked.
	if err := e.deleteRecords([]record.Record{{Table: record.Credentials, Key: en.name}}); err != nil {
		e.log.Error("cannot delete the record of a lapsed credential", "name", en.name, "error", err)
	}
	return true
}
