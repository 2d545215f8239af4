package refresh

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"tokend/daemon/clock"
)

// Run loads what New has not, and refreshes what is due until ctx is done. It then starts nothing
// more, cancels the fetches under way, except those of rotating credentials, which it gives their
// time to end, and returns when nothing that it or a reader started is running. It is called once.
func (e *Engine) Run(ctx context.Context) error {
	if !e.isLoaded() && !e.load(ctx) {
		e.halt()
		e.watchers.close()
		return nil
	}
	var g errgroup.Group
	g.Go(func() error {
		e.dispatch(ctx, &g)
		return nil
	})
	g.Go(func() error {
		e.save(ctx)
		return nil
	})
	g.Go(func() error {
		e.sweep(ctx)
		e.redate(ctx)
		return nil
	})
	e.resume()
	<-ctx.Done()
	e.halt()
	e.flights.Wait()
	err := g.Wait()
	e.saveAll()
	e.watchers.close()
	return err
}

// halt lets nothing more begin, and cancels what may be.
func (e *Engine) halt() {
	e.life.Lock()
	e.stopped = true
	e.life.Unlock()
	e.cancel()
}

// dispatch begins what is due, in workers of g: see [Engine.work].
func (e *Engine) dispatch(ctx context.Context, g *errgroup.Group) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	qs := newHostQueues(e.cfg.scheduled(), e.cfg.calls())
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
			e.applyLocked(en, passed{}, now)
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
		e.applyLocked(en, rescheduled{h.until}, now)
	case en.flight == nil:
		e.applyLocked(en, passed{}, now)
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
	if p.pushed > 0 || p.lapses && !en.outdated {
		en.mu.Unlock()
		if p.pushed > 0 {
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
	cause := CauseSchedule
	if en.started {
		cause = CauseStart
	}
	f, err := e.startLocked(en, cause)
	en.mu.Unlock()
	if err != nil {
		return endedIdle
	}
	<-f.done
	return en.tells(f.err)
}
