package refresh

import (
	"time"

	"golang.org/x/sync/errgroup"

	"tokend/fetchers"
)

// hostQueue is what the schedule has to do at one host, beside the backlog. It is dispatch's alone.
type hostQueue struct {
	host   int
	places places // of the refreshes in flight
	pace   pace
}

// hostQueues is those of all hosts.
type hostQueues struct {
	of   [hosts]hostQueue
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

// newHostQueues returns the queues of a schedule that may have most refreshes in flight at each
// host. One owner has at most one less than its share of all calls to the host: the last place is
// for calls that clients wait for.
func newHostQueues(most, calls int) *hostQueues {
	qs := &hostQueues{done: make(chan landed, hosts*most)}
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
// begin nothing more unless a refresh ends or something comes to be due: longestNap at most. An
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
	owner := ownerOf(en.name)
	q.places.take(owner)
	g.Go(func() error {
		qs.done <- landed{q.host, owner, e.renew(en)}
		return nil
	})
}

// tells returns what a refresh of en, which has ended with err, tells of the host: what WeChat says
// of one customer tells nothing of it, and neither does a parent that cannot be had.
func (en *entry) tells(err error) ending {
	if err == nil {
		return endedWell
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	switch h := en.hold; {
	case h == nil || h.derived:
		return endedIdle
	case h.class == 0 && h.reason == Unreachable,
		h.class == fetchers.Retry, h.class == fetchers.QuotaMinute, h.class == fetchers.AddressRefused:
		return endedBadly
	}
	return endedIdle
}
