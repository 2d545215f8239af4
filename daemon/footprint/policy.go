package footprint

import (
	"runtime/metrics"
	"time"
)

const (
	// leastRoom is that for some hundred refreshes, each of which makes about 30 kB of garbage.
	leastRoom = 8 << 20

	// square divides live²: see the package's documentation.
	square = 1 << 30

	// apart is how long a collection and the next are apart at least, as long as mostRoom is enough
	// for that. A collection of ten thousand credentials takes some 7 ms in which reads wait
	// longer: once a second that is nearly the hundredth part of them, and the p99 is theirs.
	apart = 4 * time.Second

	// mostRoom is the most that a burst of refreshes is given, and mostTimes how many times live
	// that may be: 250 a second, at which the schedule goes when it is in a hurry, make 30 MB in
	// that time. Where little is live a collection is soon over, and room is not worth having.
	mostRoom  = 32 << 20
	mostTimes = 3

	// calm is for how long less room must have been enough before there is less.
	calm = 30 * time.Second

	// mass is the room that a burst wants at least whose end is worth giving memory back: that of
	// some ten refreshes a second.
	mass = 2 << 20
)

// policy is for how many percent of live garbage may gather, as of late.
type policy struct {
	percent int

	burst uint64        // room that there is because garbage comes fast
	less  uint64        // the most that was wanted while it was less than that
	since time.Duration // for how long it was

	made   uint64        // allocated since the room was last worked out
	passed time.Duration // since then

	over bool // a burst has ended, and nothing has been given back since
}

// decide takes note that live bytes are in use, and that so many have been allocated within the
// time that has passed, and reports whether percent is another now. To set it stops the world for a
// moment, which what is nearly the same is not worth. How fast garbage comes is measured over every;
// live counts at once.
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

// pause returns when to decide again. In a burst what lives may double within every, and a percent
// that was right before it would let twice as much garbage gather as there is room for.
func (p *policy) pause() time.Duration {
	if p.burst > leastRoom {
		return every / 10
	}
	return every
}

// room works out how much the garbage of late wants: more at once, and less when that has been
// enough for a while.
func (p *policy) room(made uint64, passed time.Duration) {
	wanted := uint64(min(float64(made)*float64(apart)/float64(passed), mostRoom))
	if wanted >= p.burst {
		p.burst, p.less, p.since = wanted, 0, 0
		return
	}
	p.less = max(p.less, wanted)
	if p.since += passed; p.since >= calm {
		p.over = p.over || p.burst >= mass && p.less < p.burst/2
		p.burst, p.less, p.since = p.less, 0, 0
	}
}

// giveBack reports, once after each burst, whether to give memory back where live bytes of those
// held are in use. A process that holds little more than it uses would collect for nothing.
func (p *policy) giveBack(live, held uint64) bool {
	over := p.over
	p.over = false
	return over && held > live+max(live/4, mass)
}

// percentFor returns for how many percent of live garbage may gather, if a burst wants so much
// room.
func percentFor(live, burst uint64) int {
	if live == 0 {
		return 100
	}
	room := min(max(leastRoom, live/1024*live/(square/1024)), live)
	room = max(room, min(burst, mostTimes*live))
	return max(1, int(room*100/live))
}

// look returns how many bytes of memory the heap holds, how many of them the last collection has
// found to be in use, and how many have been allocated so far.
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
