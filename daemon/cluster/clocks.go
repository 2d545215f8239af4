package cluster

import (
	"maps"
	"sync"
	"time"

	"tokend/daemon/clock"
)

const (
	// sampleLife is how long an exchange of heartbeats counts while there are later ones.
	sampleLife = 10 * time.Minute

	// slew is the reciprocal of the rate at which two clocks may diverge: time servers slew each of
	// them by at most 500 ppm.
	slew = 1000

	// bootLife is how long a boot is remembered after its last heartbeat. No record whose end
	// matters is older.
	bootLife = 25 * time.Hour

	// maxBoots bounds the memory of [clocks]. A machine has another boot only after a restart.
	maxBoots = 64

	// precise is how far apart the bounds of a clock may be for times to be converted by them. A
	// heartbeat that took longer is not followed by the watch, but was read, perhaps from a backup.
	precise = echoTimeout

	// recent is how old the last heartbeat of a boot may be for this host to report its arrival.
	recent = time.Minute
)

// bounds bound the clock of this host minus that of another boot.
type bounds struct {
	Low  time.Duration `json:"low"`
	High time.Duration `json:"high"`
}

// exchange returns the bounds that two heartbeats give. This host's was sent at a1 and reached the
// peer at its b1. The peer's was sent at its b2 and reached this host at a2. No clock was adjusted
// in between, and no heartbeat arrived before it was sent.
func exchange(a1, b1, b2, a2 clock.Instant) bounds {
	return bounds{Low: a1.Sub(b1), High: a2.Sub(b2)}
}

// empty reports whether no difference of the clocks is within b.
func (b bounds) empty() bool { return b.Low > b.High }

// wide reports whether a better exchange is worth waiting for.
func (b bounds) wide() bool { return b.High-b.Low > precise }

// within returns what is within both b and c.
func (b bounds) within(c bounds) bounds {
	return bounds{Low: max(b.Low, c.Low), High: min(b.High, c.High)}
}

// plus returns the bounds of the sum of two differences.
func (b bounds) plus(c bounds) bounds { return bounds{Low: b.Low + c.Low, High: b.High + c.High} }

// sample is what was known at an instant.
type sample struct {
	bounds
	at clock.Instant
}

// age is how long ago s was taken. A clock that was set back makes it no younger.
func (s sample) age(now clock.Instant) time.Duration { return now.Sub(s.at).Abs() }

// as returns what s says about a later instant.
func (s sample) as(now clock.Instant) bounds {
	d := s.age(now) / slew
	return bounds{Low: s.Low - d, High: s.High + d}
}

// best returns what is within all of samples. There is at least one.
func best(samples []sample, now clock.Instant) bounds {
	b := samples[0].as(now)
	for _, s := range samples[1:] {
		b = b.within(s.as(now))
	}
	return b
}

// add adds a sample and drops those that no longer count. If a clock was set since, samples of
// before contradict it: they are dropped, too.
func add(samples []sample, next sample) []sample {
	if next.empty() {
		return samples[:0] // a clock was set between the two heartbeats
	}
	kept := samples[:0]
	for _, s := range samples {
		if s.age(next.at) <= sampleLife {
			kept = append(kept, s)
		}
	}
	if len(kept) > 0 && best(kept, next.at).within(next.bounds).empty() {
		kept = kept[:0]
	}
	return append(kept, next)
}

// arrival is that a heartbeat of another boot reached a host.
type arrival struct {
	Sent    clock.Instant `json:"sent"`    // of the other boot
	Reached clock.Instant `json:"reached"` // of this boot
}

// boot is what this host knows of the clock of another boot.
type boot struct {
	samples []sample // of heartbeats, oldest first
	told    *sample  // of a peer, while there are no samples
	last    arrival
	wall    time.Time // of the boot's host, when it sent its last heartbeat
}

// clocks relate this host's clock to those of other boots. The methods may be called concurrently.
type clocks struct {
	own string // this boot
	now func() clock.Instant

	mu     sync.Mutex
	boots  map[string]*boot
	missed map[string]bool // boots that were asked for in vain
}

func newClocks(own string, now func() clock.Instant) *clocks {
	return &clocks{own: own, now: now, boots: make(map[string]*boot), missed: make(map[string]bool)}
}

// heard takes over a heartbeat that has arrived now. It reports whether its sender waits for an
// answer: one of the two does not know the other's clock well.
func (c *clocks) heard(h heartbeat, now clock.Instant) (answer bool) {
	if h.Boot == "" || h.Boot == c.own {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	seen, met := h.Seen[c.own]
	b := c.boots[h.Boot]
	news := b == nil || b.last == arrival{}
	if news {
		b = c.create(h.Boot)
	} else if b.last.Sent == h.Instant {
		return false
	}
	b.last, b.wall = arrival{Sent: h.Instant, Reached: now}, time.Unix(0, h.Wall)
	if met {
		b.samples = add(b.samples, sample{exchange(seen.Sent, seen.Reached, h.Instant, now), now})
	}
	if len(b.samples) > 0 {
		b.told = nil
		to := best(b.samples, now)
		for other, theirs := range h.Met {
			c.hear(other, sample{to.plus(theirs), now})
		}
	}
	mine, known := h.Met[c.own] // a process that has just started knows no clock, also in a known boot
	return news || !met || !known || mine.wide()
}

// found reports whether boots are known by now that were asked for in vain.
func (c *clocks) found() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.missed)
	maps.DeleteFunc(c.missed, func(name string, _ bool) bool {
		b := c.boots[name]
		return b != nil && (len(b.samples) > 0 || b.told != nil)
	})
	return len(c.missed) < n
}

// miss notes that a boot was asked for in vain. c.mu is held.
func (c *clocks) miss(name string) {
	if len(c.missed) < maxBoots {
		c.missed[name] = true
	}
}

// hear takes over what a peer knows of a boot that this host has not met. c.mu is held.
func (c *clocks) hear(other string, s sample) {
	b := c.boots[other]
	switch {
	case other == c.own || s.empty():
		return
	case b == nil:
		b = c.create(other)
	case len(b.samples) > 0:
		return
	}
	if b.told != nil {
		if known := b.told.as(s.at).within(s.bounds); !known.empty() {
			s.bounds = known
		}
	}
	b.told = &s
}

// create adds a boot, or the heartbeats of a known one. c.mu is held.
func (c *clocks) create(name string) *boot {
	b := c.boots[name]
	if b != nil {
		return b
	}
	now := c.now()
	var oldest string
	for other, x := range c.boots {
		switch age := x.age(now); {
		case age > bootLife:
			delete(c.boots, other)
		case oldest == "" || age > c.boots[oldest].age(now):
			oldest = other
		}
	}
	if len(c.boots) >= maxBoots {
		delete(c.boots, oldest)
	}
	b = &boot{}
	c.boots[name] = b
	return b
}

// age is how long ago the boot was heard of.
func (b *boot) age(now clock.Instant) time.Duration {
	if b.last == (arrival{}) && b.told != nil {
		return b.told.age(now)
	}
	return now.Sub(b.last.Reached).Abs()
}

// Offset bounds this host's clock minus that of another boot, by which times are converted. It
// reports false for a boot that no live host has met: the wall clock tells then. See found.
func (c *clocks) Offset(name string) (low, high time.Duration, ok bool) {
	is, ok := c.known(name)
	if !ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.miss(name)
	}
	return is.Low, is.High, ok
}

// known returns what is known of the clock of a boot.
func (c *clocks) known(name string) (is bounds, ok bool) {
	if name == c.own {
		return bounds{}, true
	}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.boots[name].bounds(now)
}

// bounds returns what is known of the clock of b, which may be nil.
func (b *boot) bounds(now clock.Instant) (is bounds, ok bool) {
	switch {
	case b == nil:
	case len(b.samples) > 0:
		return best(b.samples, now), true
	case b.told != nil:
		return b.told.as(now), true
	}
	return bounds{}, false
}

// exchanged reports whether this host has exchanged heartbeats with another boot, and knows its
// clock well. Only then does it know what that boot's host knows of boots that have ended.
func (c *clocks) exchanged(name string) bool {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.boots[name]
	return b != nil && len(b.samples) > 0 && !best(b.samples, now).wide()
}

// seen returns the last arrivals of heartbeats, by boot.
func (c *clocks) seen() map[string]arrival {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[string]arrival)
	for name, b := range c.boots {
		if b.last != (arrival{}) && b.age(now) <= recent {
			all[name] = b.last
		}
	}
	return all
}

// met returns the bounds of all boots with which this host has exchanged heartbeats.
func (c *clocks) met() map[string]bounds {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[string]bounds)
	for name, b := range c.boots {
		if len(b.samples) > 0 && b.age(now) <= bootLife {
			all[name] = best(b.samples, now)
		}
	}
	return all
}

// wall returns the wall clock of another boot minus this host's, for display. wall is what this
// host's shows now.
func (c *clocks) wall(name string, wall time.Time) (ahead, uncertainty time.Duration, ok bool) {
	is, ok := c.known(name)
	if !ok {
		return 0, 0, false
	}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.boots[name]
	if b == nil || b.last == (arrival{}) {
		return 0, 0, false
	}
	uncertainty = (is.High - is.Low) / 2
	sent := b.last.Sent.Add(is.Low + uncertainty) // by this host's clock
	return b.wall.Sub(wall.Add(sent.Sub(now))), uncertainty, true
}
