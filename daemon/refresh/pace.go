package refresh

import (
	"time"

	"tokend/daemon/clock"
)

// The schedule's refreshes of customers' credentials are paced. Places bound how many calls are in
// flight, but not how many calls a quick host receives. After a start or an outage, with very many
// due at once, there would be a hundred thousand calls in a minute. If time is short the pace
// rises, so that values are refreshed before they expire if WeChat answers that fast. If that is
// not enough, values that readers request go first. Calls that a reader waits for are never paced.
// The accounts' own credentials, which are few, are paced only where they take more than the first
// places.
const (
	// paceFloor is how many refreshes of customers the schedule begins in a second if no more are
	// needed. It is 3000 a minute; WeCom allows an address 20 000 for one API.
	paceFloor = 50

	// paceRoom is how many times the pace is what those in memory need to stay fresh. A million
	// two-hour tokens get about 300 a second. WeCom allows the address of a suite 1 200 000 an hour
	// for one API, which is 333 a second.
	paceRoom = 2

	// paceCeiling is how many it begins in a second if values would expire otherwise. It is 18 000
	// a minute and 1 080 000 an hour, within what WeCom allows.
	paceCeiling = 300

	// paceMargin is how much faster the schedule goes than is needed for the last value to be just
	// in time. Calls fail, others become due, and a host may be down again.
	paceMargin = 2

	// paceGrowth bounds the refreshes in a second by the successful answers in the second before,
	// times this, if that is above the floor. So a host that was down, or is at its limit, does not
	// get the whole backlog at once. From the floor to the ceiling takes three seconds.
	paceGrowth = 2

	// paceFailing is which part of the answers may be failures: with more of them there is no hurry
	// that helps.
	paceFailing = 8

	// paceProbe is how many begin in a second while all calls fail. It is enough to notice the end
	// of an outage within a second, although each credential is tried only every half minute.
	paceProbe = 5

	// usualLife is that of a credential of which none has come yet; WeChat's are all of it.
	usualLife = 2 * time.Hour
)

// pace is when the schedule may begin the next refresh of a customer's credential at one host.
// Nothing is saved up: two never begin closer together than the first one's gap. It is dispatch's
// alone.
type pace struct {
	free clock.Instant // when the next may begin

	looked    clock.Instant           // when what follows was found out, at most a second ago while somebody waits
	need      float64                 // refreshes a second for all that wait to be in time
	most      float64                 // a second, as WeChat answers
	short     bool                    // there is no time for all
	more      bool                    // in the second before, the first places were not enough
	good, bad int                     // answers since then
	owners    map[string]ownerAnswers // the same, by owner
	hosts     int                     // of ours that refresh the same and share the limits of all; zero for one
	full      bool                    // since then a refresh has waited for a place
}

// look finds out, once a second, how fast those that wait should be refreshed and how fast they can
// be. first is which part the first places are of those that are taken.
func (p *pace) look(now clock.Instant, first float64, needs func() float64) {
	since := now.Sub(p.looked)
	if p.looked != 0 && since < time.Second {
		return
	}
	spared := p.spared()
	reached := float64(p.good+spared) / max(since, time.Second).Seconds()
	known := p.looked != 0 && since < longestNap
	switch {
	case !known:
		p.most = p.part(paceFloor) // nothing is known, or nothing any more
	case p.good == 0 && p.bad == 0: // calls are under way, or were not needed
	case p.good == 0:
		p.most = max(p.most/paceGrowth, p.part(paceProbe))
	case (p.bad-spared)*paceFailing > p.good:
		p.most = p.part(paceFloor)
	default:
		p.most = max(paceGrowth*reached, p.part(paceFloor))
	}
	can := p.most
	if p.full {
		can = reached
	}
	p.need = needs()
	p.short = p.need > min(can, p.part(paceCeiling))
	p.more = known && (p.full || first < 1) && reached*first < p.wanted()
	p.looked, p.good, p.bad, p.full = instantOf(now), 0, 0, false
	clear(p.owners)
}

// ending says what the end of a refresh tells of the host.
type ending int8

const (
	endedIdle ending = iota // nothing: no call was made, or it failed because of the customer
	endedWell
	endedBadly
)

// ownerAnswers is the answers to one owner in a second.
type ownerAnswers struct {
	bad  int
	good bool // there was a good one
}

// note takes note of how a refresh of owner has ended.
func (p *pace) note(owner string, end ending) {
	f := p.owners[owner]
	switch end {
	case endedIdle:
		return
	case endedWell:
		p.good++
		f.good = true
	case endedBadly:
		p.bad++
		f.bad++
	}
	if p.owners == nil {
		p.owners = map[string]ownerAnswers{}
	}
	p.owners[owner] = f
}

// spared returns how many failures tell nothing of the host, which answers others: those after the
// first of an owner that got no good answer.
func (p *pace) spared() (n int) {
	if p.good == 0 {
		return 0
	}
	for _, f := range p.owners {
		if !f.good {
			n += f.bad - 1
		}
	}
	return n
}

// part returns this host's part of a rate of all of ours.
func (p *pace) part(rate float64) float64 { return rate / float64(max(p.hosts, 1)) }

// wanted returns how many refreshes a second there should be, if WeChat answers that fast.
func (p *pace) wanted() float64 {
	return min(max(p.need*paceMargin, p.part(paceFloor)), p.part(paceCeiling))
}

// gap returns how long no other begins after a credential that is refreshed every so often, of n.
func (p *pace) gap(every time.Duration, n int) time.Duration {
	return max(min(gapOf(every, n)*time.Duration(max(p.hosts, 1)), perSecond(p.wanted())), perSecond(p.most))
}

// perSecond returns the gap between so many a second.
func perSecond(rate float64) time.Duration { return time.Duration(float64(time.Second) / rate) }

// gapOf returns the gap after one of n that is refreshed every so often. Each of the n adds the
// time since its last refresh, divided by paceRoom times n. Together they take one part in paceRoom
// of all time, however different their lives are.
func gapOf(every time.Duration, n int) time.Duration {
	return min(time.Second/paceFloor, max(every, 0)/time.Duration(paceRoom*n))
}
