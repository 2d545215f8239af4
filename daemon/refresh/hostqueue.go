package refresh

import (
	"time"

	"golang.org/x/sync/errgroup"

	"tokend/fetchers"
)

// hosts is how many hosts WeChat has: what the schedule does at the one does not wait for the
// other.
const (
	weixinHost = iota
	wecomHost
	hosts
)

// host returns the number of the host that what the schedule refreshes is asked of.
func (p *policy) host() int {
	if p.wecom {
		return wecomHost
	}
	return weixinHost
}

// hostQueue is what the schedule has to do at one host. It is dispatch's alone.
type hostQueue struct {
	host  int
	ready []*entry // due for a refresh and not paced, waiting for a worker
	pace  pace
	busy  int // refreshes under way
}

// hostQueues is those of all hosts.
type hostQueues struct {
	of   [hosts]hostQueue
	done chan landed // has room for all that may be under way
}

// landed is how a refresh of the schedule has ended.
type landed struct {
	host int
	end  ending
}

// ending says what the end of a refresh tells of the host.
type ending int8

const (
	endedIdle ending = iota // nothing: no call was made, or it failed because of the customer
	endedWell
	endedBadly
)

func newHostQueues(most int) *hostQueues {
	qs := &hostQueues{done: make(chan landed, hosts*most)}
	for i := range qs.of {
		qs.of[i].host = i
	}
	return qs
}

// put lets en, which is due and not paced, wait for a worker.
func (qs *hostQueues) put(en *entry) {
	q := &qs.of[en.policy().host()]
	q.ready = append(q.ready, en)
}

// landed takes note of a refresh that has ended.
func (qs *hostQueues) landed(x landed) {
	q := &qs.of[x.host]
	q.busy--
	switch x.end {
	case endedWell:
		q.pace.good++
	case endedBadly:
		q.pace.bad++
	}
}

// work begins what q may begin now, each refresh in a worker of g, and returns how long it may
// begin nothing more unless a refresh ends or something comes to be due: longestNap at most.
func (e *Engine) work(g *errgroup.Group, qs *hostQueues, q *hostQueue) time.Duration {
	for {
		if len(q.ready) > 0 {
			if q.busy >= e.cfg.workers() {
				return longestNap
			}
			en := q.ready[0]
			q.ready[0] = nil
			if q.ready = q.ready[1:]; len(q.ready) == 0 {
				q.ready = nil // lets go of the array of a burst
			}
			e.launch(g, qs, q, en)
			continue
		}
		if !e.schedule.waits(q.host) {
			return longestNap
		}
		now := e.clock.Now()
		if wait := q.pace.free.Sub(now); wait > 0 {
			return wait
		}
		q.pace.look(now, func() float64 { return e.schedule.needs(q.host, now) })
		if places := e.cfg.workers(); q.busy >= places && (!q.pace.hurries() || q.busy >= e.cfg.hurried()) {
			q.pace.full = true
			return longestNap // or until one of them ends: see landed
		}
		en := e.schedule.release(q.host, q.pace.short, now)
		if en == nil {
			continue // it has been served meanwhile
		}
		q.pace.free = now.Add(e.gap(&q.pace, en, now))
		e.launch(g, qs, q, en)
	}
}

// launch begins the refresh of en.
func (e *Engine) launch(g *errgroup.Group, qs *hostQueues, q *hostQueue, en *entry) {
	q.busy++
	g.Go(func() error {
		qs.done <- landed{q.host, e.renew(en)}
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
