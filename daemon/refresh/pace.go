package refresh

import (
	"time"

	"golang.org/x/sync/errgroup"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/fetchers"
)

// This file bounds how often the schedule calls for customers' credentials. The places bound how
// many calls are in flight, but a host that answers quickly is then called as often as it can
// answer: after a start or an outage, with very many due at once, that would be a hundred thousand
// calls in a minute. Where there is little time the pace rises, so that what waits is refreshed
// before it expires if WeChat answers that fast; where there is too little, what readers ask for
// goes first. Calls that a reader waits for are never paced. The accounts' own credentials, which
// are few, are paced only where they take more than the first places.

const (
	// paceFloor is how many refreshes of customers the schedule begins within a second if no more
	// are needed: 3000 a minute, of the 20 000 that WeCom allows an address for one API.
	paceFloor = 50

	// paceRoom is how many times the pace is what those in memory need to stay fresh. With two-hour
	// tokens a million of them have about 300 a second: below the 333 that WeCom's 1 200 000 an
	// hour are, which it allows the address of a suite for one API.
	paceRoom = 2

	// paceCeiling is how many it begins within a second where those that wait would end otherwise:
	// 18 000 a minute, and 1 080 000 an hour, of what WeCom allows.
	paceCeiling = 300

	// paceMargin is how much faster it goes than it takes for the last of those to come just in
	// time: calls fail, others become due, and a host that was down may be down again.
	paceMargin = 2

	// paceGrowth is how many times as many begin within a second as WeChat has answered well in the
	// one before, if those are more than the floor: a host that was down, or is at its limit,
	// is not met with all that has gathered, and from the floor to the ceiling takes three seconds.
	paceGrowth = 2

	// paceFailing is which part of the answers may be failures: with more of them there is no hurry
	// that helps.
	paceFailing = 8

	// paceProbe is how many begin within a second while nothing but failures comes back: enough to
	// notice within a second that an outage has ended, in which a credential that was tried is not
	// tried again for half a minute.
	paceProbe = 5

	// usualLife is that of a credential of which none has come yet; WeChat's are all of it.
	usualLife = 2 * time.Hour
)

// pace is when the schedule may begin the next refresh of a customer's credential at one host.
// Nothing is saved up: two never begin closer together than the first one's gap. It is dispatch's
// alone.
type pace struct {
	free clock.Instant // when the next may begin

	looked    clock.Instant // when what follows was found out, at most a second ago while somebody waits
	need      float64       // refreshes a second for all that wait to be in time
	most      float64       // a second, as WeChat answers
	short     bool          // there is no time for all
	more      bool          // in the second before, the first places were not enough
	good, bad int           // answers since then
	full      bool          // since then a refresh has waited for a place
}

// look finds out, once a second, how fast those that wait should be refreshed and how fast they can
// be. first is which part the first places are of those that are taken.
func (p *pace) look(now clock.Instant, first float64, needs func() float64) {
	since := now.Sub(p.looked)
	if p.looked != 0 && since < time.Second {
		return
	}
	reached := float64(p.good) / max(since, time.Second).Seconds()
	known := p.looked != 0 && since < longestNap
	switch {
	case !known:
		p.most = paceFloor // nothing is known, or nothing any more
	case p.good == 0 && p.bad == 0: // calls are under way, or were not needed
	case p.good == 0:
		p.most = max(p.most/paceGrowth, paceProbe)
	case p.bad*paceFailing > p.good:
		p.most = paceFloor
	default:
		p.most = max(paceGrowth*reached, paceFloor)
	}
	can := p.most
	if p.full {
		can = reached
	}
	p.need = needs()
	p.short = p.need > min(can, paceCeiling)
	p.more = known && (p.full || first < 1) && reached*first < p.wanted()
	p.looked, p.good, p.bad, p.full = instantOf(now), 0, 0, false
}

// wanted returns how many refreshes a second there should be, if WeChat answers that fast.
func (p *pace) wanted() float64 { return min(max(p.need*paceMargin, paceFloor), paceCeiling) }

// gap returns how long no other begins after a credential that is refreshed every so often, of n.
func (p *pace) gap(every time.Duration, n int) time.Duration {
	return max(min(gapOf(every, n), perSecond(p.wanted())), perSecond(p.most))
}

// perSecond returns the gap between so many a second.
func perSecond(rate float64) time.Duration { return time.Duration(float64(time.Second) / rate) }

// gapOf returns the gap after one of n that is refreshed every so often. If each of n is charged
// for as long as it took to come round, and paceRoom times n go into that, they need one part in
// paceRoom of all time, however different their lives are.
func gapOf(every time.Duration, n int) time.Duration {
	return min(time.Second/paceFloor, max(every, 0)/time.Duration(paceRoom*n))
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
	case en.unwantedLocked(now):
		e.applyLocked(en, refreshMoved{restUntil(c, now)}, now)
	default:
		e.schedule.wait(host, heap, en, c.end)
	}
}

// unwantedLocked reports whether a customer's credential lapses instead of being refreshed. en.mu
// is held.
func (en *entry) unwantedLocked(now clock.Instant) bool {
	return en.policy().Lapses && !en.outdated && en.unasked(now)
}

// gap returns how long the schedule begins no other paced refresh after that of en: none if it
// makes no call.
func (e *Engine) gap(p *pace, en *entry, now clock.Instant) time.Duration {
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.unwantedLocked(now) {
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

// ending says what the end of a refresh tells of the host.
type ending int8

const (
	endedIdle ending = iota // nothing: no call was made, or it failed because of the customer
	endedWell
	endedBadly
)

// newHostQueues returns the queues of a schedule that may have most refreshes in flight at each of
// so many hosts. One owner has at most one less than its share of all calls to the host: the last
// place is for calls that clients wait for.
func newHostQueues(hosts, most, calls int) *hostQueues {
	qs := &hostQueues{of: make([]hostQueue, hosts), done: make(chan landed, hosts*most)}
	for i := range qs.of {
		qs.of[i].host = i
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
	switch x.end {
	case endedWell:
		q.pace.good++
	case endedBadly:
		q.pace.bad++
	}
}

// work begins what q may begin now, each refresh in a worker of g, and returns how long it may
// begin nothing more unless a refresh ends or something becomes due: longestNap at most. An
// account's own credential takes one of the first places at once. Customers' credentials take
// places at the pace; so does everything where the first places are not enough.
func (e *Engine) work(g *errgroup.Group, qs *hostQueues, q *hostQueue) time.Duration {
	workers := e.cfg.workers()
	for e.schedule.waits(q.host) {
		now := e.clock.Now()
		rest := q.pace.free.Sub(now)
		if rest <= 0 {
			q.pace.look(now, float64(workers)/float64(max(workers, q.places.taken)), func() float64 { return e.schedule.needs(q.host, now) })
		}
		switch {
		case q.places.taken < workers:
		case !q.pace.more:
			q.pace.full = true
			return max(rest, q.pace.looked.Add(time.Second).Sub(now)) // or until one of them ends: see landed
		case rest > 0:
			return rest
		case q.places.full():
			q.pace.full = true
			return longestNap
		}
		en := e.schedule.release(q.host, q.places.open, rest > 0, q.pace.short, now)
		switch {
		case en == nil && rest > 0:
			return rest
		case en == nil:
			q.pace.full = true
			return longestNap
		}
		q.pace.full = q.pace.full || q.places.taken >= workers
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
