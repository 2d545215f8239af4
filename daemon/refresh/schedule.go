package refresh

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"tokend/daemon/clock"
)

// planLocked makes en due when there is next something to do about it: a refresh, unless one is
// under way, or word to the watchers that its life has ended. en.mu is held.
func (e *Engine) planLocked(en *entry, now clock.Instant) {
	at := never
	if en.refresh != 0 && en.flight == nil {
		at = en.refresh
	}
	if c := en.valid(now); c != nil {
		at = min(at, c.end)
	}
	if en.gone() != nil {
		at = never
	}
	e.schedule.set(en, at)
}

// Run refreshes what is due until ctx is done. It then starts nothing more,
// cancels the fetches under way, except those of rotating credentials, which it
// gives their time to end, and returns when nothing that it or a reader started is running.
// It is called once.
func (e *Engine) Run(ctx context.Context) error {
	var g errgroup.Group
	due := make(chan *entry)
	for range e.cfg.workers() {
		g.Go(func() error {
			for en := range due {
				e.renew(en)
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(due)
		e.dispatch(ctx, due)
		return nil
	})
	g.Go(func() error {
		e.save(ctx)
		return nil
	})
	g.Go(func() error {
		e.redate(ctx)
		return nil
	})
	e.resume()
	<-ctx.Done()
	e.life.Lock()
	e.stopped = true
	e.life.Unlock()
	e.cancel()
	e.flights.Wait()
	err := g.Wait()
	e.saveAll()
	e.watchers.close()
	return err
}

// dispatch hands out what is due to the workers: the accounts' own credentials at once, those of
// customers at their pace.
func (e *Engine) dispatch(ctx context.Context, due chan<- *entry) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var ready []*entry // due for a refresh, waiting for a worker
	var p pace
	for {
		wait := e.collect(&ready)
		timer.Reset(min(wait, e.advance(&p)))
		var out chan<- *entry
		first := p.next
		if len(ready) > 0 {
			first = ready[0]
		}
		if first != nil {
			out = due
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			e.clock.Resync()
		case <-e.schedule.kick:
		case out <- first:
			if len(ready) == 0 {
				p.begun(e.clock.Now())
				continue
			}
			ready[0] = nil
			if ready = ready[1:]; len(ready) == 0 {
				ready = nil // lets go of the array of a burst
			}
		}
	}
}

// collect takes what is due for a refresh now to where it waits, announces what has ended, and
// returns how long nothing more is due. It appends to ready what does not wait for the pace.
func (e *Engine) collect(ready *[]*entry) time.Duration {
	for {
		now := e.clock.Now()
		en, wait := e.schedule.next(now)
		if en == nil {
			return wait
		}
		en.mu.Lock()
		e.tellLocked(en, now, false)
		switch {
		case en.gone() != nil || en.flight != nil || en.refresh == 0 || en.refresh > now:
			e.planLocked(en, now)
		case en.policy().lapses:
			e.queueLocked(en, now)
		default:
			*ready = append(*ready, en)
		}
		en.mu.Unlock()
	}
}

// renew refreshes en if that is still due, and returns when it is done.
func (e *Engine) renew(en *entry) {
	en.mu.Lock()
	now := e.clock.Now()
	if en.gone() != nil || en.flight != nil || en.refresh == 0 || en.refresh > now {
		if en.flight == nil {
			e.planLocked(en, now)
		}
		en.mu.Unlock()
		return
	}
	if h := en.paused(now); h != nil {
		en.refresh = h.until
		e.planLocked(en, now)
		en.mu.Unlock()
		return
	}
	p := en.policy()
	if p.pushed > 0 || p.lapses && !en.outdated {
		en.mu.Unlock()
		if p.pushed > 0 {
			e.quiet(en)
			return
		}
		if e.lapse(en, now) {
			return
		}
		en.mu.Lock()
		if en.flight != nil {
			en.mu.Unlock()
			return
		}
	}
	cause := CauseSchedule
	if en.started {
		cause = CauseStart
	}
	f, err := e.startLocked(en, cause)
	en.mu.Unlock()
	if err == nil {
		<-f.done
	}
}
