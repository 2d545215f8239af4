package refresh

import (
	"time"

	"tokend/daemon/clock"
)

// This file bounds how often the schedule calls for customers' credentials. The workers bound how many calls
// are under way at once, but a host that answers quickly is then asked as often as it can answer: after a
// start or an outage, when very many are due at once, that would be a hundred thousand calls in a minute.
// What a reader waits for is never paced, nor are the accounts' own credentials, which are few.

const (
	// paceFloor is how many refreshes of customers the schedule begins within a second if no more are
	// needed: 3000 a minute, of the 20 000 that WeCom allows an address for one API.
	paceFloor = 50

	// paceRoom is how many times the pace is what those in memory need to stay fresh. With two-hour tokens a
	// million of them have about 300 a second: below the 333 that WeCom's 1 200 000 an hour are, which it allows
	// the address of a suite for one API.
	paceRoom = 2

	// usualLife is that of a credential of which none has come yet; WeChat's are all of it.
	usualLife = 2 * time.Hour
)

// pace is when the schedule may begin the next refresh of a customer's credential. Nothing is saved up: two
// never begin closer together than the first one's gap. It is dispatch's alone.
type pace struct {
	free clock.Instant // when the next may begin
	next *entry        // the one that waits for a worker, nil for none
	gap  time.Duration // what it costs
}

// behind is added to the instants of those that wait for the pace with nothing left to lose: they come after
// all whose values still live, first come first served.
const behind = never / 2

// queueLocked lets en, a customer's that is due, wait for the pace: those whose values end soonest go first.
// What nobody wants makes no call, and does not wait for one while its value lives. en.mu is held.
func (e *Engine) queueLocked(en *entry, now clock.Instant) {
	switch c := en.valid(now); {
	case c == nil:
		e.schedule.wait(en, behind.Add(time.Duration(now)))
	case en.unwantedLocked(now):
		en.refresh = restUntil(c, now)
		e.planLocked(en, now)
	default:
		e.schedule.wait(en, c.end)
	}
}

// unwantedLocked reports whether a customer's credential lapses instead of being refreshed. en.mu is held.
func (en *entry) unwantedLocked(now clock.Instant) bool { return !en.outdated && en.unasked(now) }

// advance takes the next from those that wait for p, if its time has come, and returns how long it is until
// then: longestNap if nobody waits or one is already taken.
func (e *Engine) advance(p *pace) time.Duration {
	if p.next != nil || !e.schedule.waits() {
		return longestNap
	}
	now := e.clock.Now()
	if wait := p.free.Sub(now); wait > 0 {
		return wait
	}
	if p.next = e.schedule.release(); p.next != nil { // it may have been served meanwhile
		p.gap = e.gap(p.next, now)
	}
	return longestNap
}

// begun notes that the refresh of p.next begins now.
func (p *pace) begun(now clock.Instant) {
	p.next, p.free = nil, now.Add(p.gap)
}

// gap returns how long the schedule begins no other customer's refresh after that of en: none if it makes no
// call.
func (e *Engine) gap(en *entry, now clock.Instant) time.Duration {
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.unwantedLocked(now) {
		return 0
	}
	every := usualLife
	if c := en.current.Load(); c != nil {
		every = min(c.life, now.Sub(c.seen))
	}
	return gapOf(every, e.schedule.len()+1)
}

// gapOf returns the gap after one of n that is refreshed every so often. If each of n is charged for as long as
// it took to come round, and paceRoom times n go into that, they need one part in paceRoom of all time, however
// different their lives are.
func gapOf(every time.Duration, n int) time.Duration {
	return min(time.Second/paceFloor, max(every, 0)/time.Duration(paceRoom*n))
}
