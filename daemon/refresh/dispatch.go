package refresh

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/fetchers"
)

// dispatch begins what is due, in workers of g: see [Engine.work].
func (e *Engine) dispatch(ctx context.Context, g *errgroup.Group) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	qs := newHostQueues(e.hosts, e.cfg.scheduled(), e.cfg.calls())
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
			e.noteMissingTicket(en)
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
	if !en.unasked(now) || e.claims.doubtful(en.name) {
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
	if err := e.deleteRecords(withoutValue(en.name)); err != nil {
		e.log.Error("cannot delete the record of a lapsed credential", "name", en.name, "error", err)
	}
	return true
}

// queueLocked lets en, which is due, wait to be refreshed: of one owner, those whose values expire
// soonest go first. A customer's that nobody wants makes no call, and does not wait for one while
// its value lives. en.mu is held.
func (e *Engine) queueLocked(en *entry, now clock.Instant) {
	heap, host := ownDue, en.class.Load().host
	if en.policy().Lapses {
		heap = pacedDue
	}
	switch c := en.valid(now); {
	case c == nil:
		e.schedule.wait(host, heap, en, behind.Add(time.Duration(now)))
	case e.unwantedLocked(en, now):
		e.applyLocked(en, refreshMoved{restUntil(c, now)}, now)
	default:
		e.schedule.wait(host, heap, en, c.end)
	}
}

// unwantedLocked reports whether a customer's credential lapses instead of being refreshed. en.mu
// is held.
func (e *Engine) unwantedLocked(en *entry, now clock.Instant) bool {
	return en.policy().Lapses && !en.outdated && en.unasked(now) && !e.claims.doubtful(en.name)
}

// gap returns how long the schedule begins no other paced refresh after that of en: none if it
// makes no call.
func (e *Engine) gap(p *pace, en *entry, now clock.Instant) time.Duration {
	en.mu.Lock()
	defer en.mu.Unlock()
	if e.unwantedLocked(en, now) {
		return 0
	}
	every := usualLife
	if c := en.current.Load(); c != nil {
		every = min(c.life, now.Sub(c.seen))
	}
	return p.gap(every, e.schedule.len()+1)
}

// hostQueue is what the schedule has to do at one host, beside the backlog. It is dispatch's alone.
type hostQueue struct {
	host   int
	places places // of the refreshes in flight
	pace   pace
}

// hostQueues is those of all hosts.
type hostQueues struct {
	of   []hostQueue // by the host's number
	done chan landed // has room for all that may be in flight
}

// landed is how a refresh of the schedule has ended.
type landed struct {
	host  int
	owner string
	end   ending
}

// newHostQueues returns the queues of a schedule that may have most refreshes in flight at each of
// so many hosts. One owner has at most one less than its share of all calls to the host: the last
// place is for calls that clients wait for.
func newHostQueues(hosts []*hostState, most, calls int) *hostQueues {
	_, spare := halves(calls)
	inFlight := max(most, calls-spare)
	qs := &hostQueues{of: make([]hostQueue, len(hosts)), done: make(chan landed, len(hosts)*inFlight)}
	for i := range qs.of {
		qs.of[i] = hostQueue{host: i, places: places{hanging: &hosts[i].hanging, most: inFlight}}
		qs.of[i].places.resize(most, func(limit int) (share, spare int) {
			share, _ = halves(calls)
			_, spare = halves(limit)
			return max(1, share-1), spare
		})
	}
	return qs
}

// landed takes note of a refresh that has ended.
func (qs *hostQueues) landed(x landed) {
	q := &qs.of[x.host]
	q.places.give(x.owner)
	q.pace.note(x.owner, x.end)
}

// work begins what q may begin now, each refresh in a worker of g, and returns how long it may
// begin nothing more unless a refresh ends or something becomes due: longestNap at most. An
// account's own credential takes one of the first places at once. Customers' credentials take
// places at the pace; so does everything where the first places are not enough.
func (e *Engine) work(g *errgroup.Group, qs *hostQueues, q *hostQueue) time.Duration {
	workers := e.cfg.workers()
	q.pace.hosts = e.sharing()
	for e.schedule.waits(q.host) {
		now := e.clock.Now()
		e.hosts[q.host].look(now)
		taken := q.places.counted(q.places.hung())
		rest := q.pace.free.Sub(now)
		if rest <= 0 {
			q.pace.look(now, float64(workers)/float64(max(workers, taken)), func() float64 { return e.schedule.needs(q.host, now) })
		}
		switch {
		case taken < workers:
		case !q.pace.more:
			q.pace.full = true
			return max(rest, q.pace.looked.Add(time.Second).Sub(now)) // or until one of them ends: see landed
		case rest > 0:
			return rest
		case q.places.full():
			q.pace.full = true
			return hangsAfter
		}
		en := e.schedule.release(q.host, q.places.opens(), rest > 0, q.pace.short, now)
		switch {
		case en == nil && rest > 0:
			return rest
		case en == nil:
			q.pace.full = true
			return hangsAfter
		}
		q.pace.full = q.pace.full || taken >= workers
		q.pace.free = max(q.pace.free, now.Add(e.gap(&q.pace, en, now)))
		e.launch(g, qs, q, en)
	}
	return longestNap
}

// launch begins the refresh of en.
func (e *Engine) launch(g *errgroup.Group, qs *hostQueues, q *hostQueue, en *entry) {
	owner := credential.OwnerOf(en.name)
	q.places.take(owner)
	g.Go(func() error {
		qs.done <- landed{q.host, owner, e.renew(en)}
		return nil
	})
}

// hostOutcome returns what a refresh of en, which has ended with err, tells of the host: what
// WeChat says of one customer tells nothing of it, and neither does a parent that cannot be had.
func (en *entry) hostOutcome(err error) ending {
	if err == nil {
		return endedWell
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	switch h := en.hold; {
	case h == nil || h.derived:
		return endedIdle
	case h.class == 0 && h.reason == credential.Unreachable,
		h.class == fetchers.Retry, h.class == fetchers.QuotaMinute, h.class == fetchers.AddressRefused:
		return endedBadly
	}
	return endedIdle
}
