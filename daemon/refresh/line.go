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

// line is what the schedule has to do at one host. It is dispatch's alone.
type line struct {
	host  int
	ready []*entry // due for a refresh and not paced, waiting for a worker
	pace  pace
	busy  int // refreshes under way
}

// lines is those of all hosts.
type lines struct {
	of   [hosts]line
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

func newLines(most int) *lines {
	ls := &lines{done: make(chan landed, hosts*most)}
	for i := range ls.of {
		ls.of[i].host = i
	}
	return ls
}

// put lets en, which is due and not paced, wait for a worker.
func (ls *lines) put(en *entry) {
	l := &ls.of[en.policy().host()]
	l.ready = append(l.ready, en)
}

// landed takes note of a refresh that has ended.
func (ls *lines) landed(x landed) {
	l := &ls.of[x.host]
	l.busy--
	switch x.end {
	case endedWell:
		l.pace.good++
	case endedBadly:
		l.pace.bad++
	}
}

// work begins what l may begin now, each refresh in a worker of g, and returns how long it may
// begin nothing more unless a refresh ends or something comes to be due: longestNap at most.
func (e *Engine) work(g *errgroup.Group, ls *lines, l *line) time.Duration {
	for {
		if len(l.ready) > 0 {
			if l.busy >= e.cfg.workers() {
				return longestNap
			}
			en := l.ready[0]
			l.ready[0] = nil
			if l.ready = l.ready[1:]; len(l.ready) == 0 {
				l.ready = nil // lets go of the array of a burst
			}
			e.launch(g, ls, l, en)
			continue
		}
		if !e.schedule.waits(l.host) {
			return longestNap
		}
		now := e.clock.Now()
		if wait := l.pace.free.Sub(now); wait > 0 {
			return wait
		}
		l.pace.look(now, func() float64 { return e.schedule.needs(l.host, now) })
		if places := e.cfg.workers(); l.busy >= places && (!l.pace.hurries() || l.busy >= e.cfg.hurried()) {
			l.pace.full = true
			return longestNap // or until one of them ends: see landed
		}
		en := e.schedule.release(l.host, l.pace.short, now)
		if en == nil {
			continue // it has been served meanwhile
		}
		l.pace.free = now.Add(e.gap(&l.pace, en, now))
		e.launch(g, ls, l, en)
	}
}

// launch begins the refresh of en.
func (e *Engine) launch(g *errgroup.Group, ls *lines, l *line, en *entry) {
	l.busy++
	g.Go(func() error {
		ls.done <- landed{l.host, e.renew(en)}
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
