package footprint

import (
	"runtime/metrics"
	"time"
)

const (
	// leastRoom is enough for a few hundred refreshes. Each makes about 30 kB of garbage.
	leastRoom = 8 << 20

	// square divides live²: see the package's documentation.
	square = 1 << 30

	// apart is the minimum time between two collections, as far as mostRoom allows, at the fastest
	// moment of a burst. A collection of 10 000 credentials takes about 7 ms and delays reads: one
	// per second would delay nearly 1 % of all reads and determine the p99. A mass fetch has one
	// every 2 s. With longer times, more memory stays in use after a burst, because what has been
	// fetched is spread over all the garbage between two collections.
	apart = time.Second

	// mostRoom limits the headroom of a burst, and mostTimes its ratio to live. The schedule makes
	// at most 250 refreshes per second, which make 8 MB of garbage within apart. An import makes
	// more. If little is live, a collection is short and headroom gains little.
	mostRoom  = 32 << 20
	mostTimes = 3

	// calm is how long less headroom must have been enough before it is reduced. The burst is over
	// when less than half has been enough for so long.
	calm = 30 * time.Second

	// mass is the headroom of the smallest burst after which memory is returned: about ten
	// refreshes per second.
	mass = 1 << 19
)

// policy decides the garbage collector's percentage from recent measurements.
type policy struct {
	percent int

	burst uint64        // headroom for the recent rate of garbage
	less  uint64        // the largest headroom needed while it was below burst
	since time.Duration // how long it has been below burst
	low   uint64        // the largest headroom needed while it was below half of burst
	quiet time.Duration // how long it has been below half of burst

	made   uint64        // bytes allocated since the last call of room
	passed time.Duration // time since then

	over bool // a burst has ended, and no memory has been returned since
}

// decide updates percent and reports whether percent has changed. live is the bytes in use; made is
// the bytes allocated within passed. A small change is ignored, because setting the percentage
// stops the world for a moment. The rate of garbage is measured over every; live counts at once.
func (p *policy) decide(live, made uint64, passed time.Duration) bool {
	p.made += made
	if p.passed += passed; p.passed >= every {
		p.room(p.made, p.passed)
		p.made, p.passed = 0, 0
	}
	wanted := percentFor(live, p.burst)
	if d := wanted - p.percent; 8*max(d, -d) <= p.percent {
		return false
	}
	p.percent = wanted
	return true
}

// pause returns the time until the next decision. In a burst live may double within every, and an
// old percentage would allow twice the intended garbage.
func (p *policy) pause() time.Duration {
	if p.burst > leastRoom {
		return every / 10
	}
	return every
}

// room updates the headroom for the recent rate of garbage. It raises the headroom at once, and
// reduces it after calm.
func (p *policy) room(made uint64, passed time.Duration) {
	wanted := uint64(min(float64(made)*float64(apart)/float64(passed), mostRoom))
	if wanted >= p.burst {
		p.burst, p.less, p.since, p.low, p.quiet = wanted, 0, 0, 0, 0
		return
	}
	p.less, p.since = max(p.less, wanted), p.since+passed
	p.low, p.quiet = max(p.low, wanted), p.quiet+passed
	if 2*wanted > p.burst {
		p.low, p.quiet = 0, 0
	}
	switch {
	case p.quiet >= calm:
		p.over = p.over || p.burst >= mass
		p.burst, p.less, p.since, p.low, p.quiet = p.low, 0, 0, 0, 0
	case p.since >= calm:
		p.burst, p.less, p.since = p.less, 0, 0
	}
}

// giveBack reports, once after each burst, whether to return memory to the operating system. If
// held is only a little more than live, a collection would gain nothing.
func (p *policy) giveBack(live, held uint64) bool {
	over := p.over
	p.over = false
	return over && held > live+max(live/4, mass)
}

// percentFor returns the percentage for live bytes in use and the headroom burst.
func percentFor(live, burst uint64) int {
	if live == 0 {
		return 100
	}
	room := min(max(leastRoom, live/1024*live/(square/1024)), live)
	room = max(room, min(burst, mostTimes*live))
	return max(1, int(room*100/live))
}

// look returns the bytes that the heap holds, the bytes that the last collection found in use, and
// the bytes allocated since the start of the process.
func look() (held, live, made uint64) {
	s := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(s)
	for i, to := range []*uint64{&live, &made, &held, &held, &held} {
		if s[i].Value.Kind() == metrics.KindUint64 {
			*to += s[i].Value.Uint64()
		}
	}
	return held, live, made
}
