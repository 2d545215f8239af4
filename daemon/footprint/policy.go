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
	calm = time.Minute
)

// policy is for how many percent of live garbage may gather, as of late.
type policy struct {
	percent int

	burst uint64        // room that there is because garbage comes fast
	less  uint64        // the most that was wanted while it was less than that
	since time.Duration // for how long it was
}

// decide takes note that live bytes are in use, and that so many have been allocated within the
// time that has passed, and reports whether percent is another now. To set it stops the world for a
// moment, which what is nearly the same is not worth.
func (p *policy) decide(live, made uint64, passed time.Duration) bool {
	wanted := percentFor(live, p.room(made, passed))
	if d := wanted - p.percent; 8*max(d, -d) <= p.percent {
		return false
	}
	p.percent = wanted
	return true
}

// room returns how much the garbage of late wants: more at once, and less when that has been enough
// for a while.
func (p *policy) room(made uint64, passed time.Duration) uint64 {
	wanted := uint64(min(float64(made)*float64(apart)/float64(passed), mostRoom))
	if wanted >= p.burst {
		p.burst, p.less, p.since = wanted, 0, 0
		return p.burst
	}
	p.less = max(p.less, wanted)
	if p.since += passed; p.since >= calm {
		p.burst, p.less, p.since = p.less, 0, 0
	}
	return p.burst
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

// look returns how many bytes the last collection has found to be in use, and how many have been
// allocated so far.
func look() (live, made uint64) {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	for i, to := range []*uint64{&live, &made} {
		if s[i].Value.Kind() == metrics.KindUint64 {
			*to = s[i].Value.Uint64()
		}
	}
	return live, made
}
