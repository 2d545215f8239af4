package cluster

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tokend/daemon/clock"
)

// ticking is a clock that a test sets. It differs from true time by offset.
type ticking struct{ offset time.Duration }

func (c ticking) at(t time.Duration) clock.Instant { return clock.Instant(t + c.offset) }

// holds reports whether d is within b.
func (b bounds) holds(d time.Duration) bool { return b.Low <= d && d <= b.High }

// TestExchange checks that an exchange bounds the difference of any two clocks, for any delays, and
// as tightly as the delays allow.
func TestExchange(t *testing.T) {
	for range 10000 {
		mine, peer := ticking{rand.N(1000*time.Hour) - 500*time.Hour}, ticking{rand.N(1000 * time.Hour)}
		there, between, back := rand.N(time.Minute), rand.N(time.Hour), rand.N(time.Minute)
		start := rand.N(time.Hour)
		b := exchange(mine.at(start), peer.at(start+there), peer.at(start+there+between), mine.at(start+there+between+back))
		if offset := mine.offset - peer.offset; !b.holds(offset) || b.High-b.Low != there+back {
			t.Fatalf("got %v for the offset %v with delays %v and %v", b, offset, there, back)
		}
	}
}

// TestSamples checks what the last samples say: the best of them, for as long as they count.
func TestSamples(t *testing.T) {
	ms := time.Millisecond
	var samples []sample
	at := func(d time.Duration) clock.Instant { return clock.Instant(d) }
	for i, s := range []struct {
		at        time.Duration
		low, high time.Duration
		want      bounds
	}{
		{0, -10 * ms, 30 * ms, bounds{-10 * ms, 30 * ms}},
		{0, -40 * ms, 20 * ms, bounds{-10 * ms, 20 * ms}},
		{time.Second, -5 * ms, 90 * ms, bounds{-5 * ms, 21 * ms}},
		{10*time.Minute + time.Second, -900 * ms, 900 * ms, bounds{-605 * ms, 690 * ms}},
		{11 * time.Minute, -900 * ms, 900 * ms, bounds{-900 * ms, 900 * ms}},
		{11 * time.Minute, 10 * ms, 5 * ms, bounds{}},                        // impossible
		{11 * time.Minute, -100 * ms, 100 * ms, bounds{-100 * ms, 100 * ms}}, // starts again
		{11 * time.Minute, 101 * ms, 200 * ms, bounds{101 * ms, 200 * ms}},   // contradicts
		{12 * time.Minute, -150 * ms, 41 * ms, bounds{41 * ms, 41 * ms}},     // does not, with 60 ms of drift
		{13 * time.Minute, -150 * ms, -80 * ms, bounds{-150 * ms, -80 * ms}}, // contradicts
		{10 * time.Minute, -200 * ms, -90 * ms, bounds{-200 * ms, -90 * ms}}, // the own clock was set back
	} {
		samples = add(samples, sample{bounds{s.low, s.high}, at(s.at)})
		if len(samples) == 0 {
			if s.want != (bounds{}) {
				t.Errorf("step %d: no samples, want %v", i, s.want)
			}
			continue
		}
		if got := best(samples, at(s.at)); got != s.want {
			t.Errorf("step %d: got %v, want %v", i, got, s.want)
		}
	}
}

// TestSlewedClocks checks that the bounds hold while time servers slew two clocks in opposite
// directions, and after the last heartbeat.
func TestSlewedClocks(t *testing.T) {
	var samples []sample
	offset := func(now time.Duration) time.Duration { return time.Hour + now/1000 } // 500 ppm each
	check := func(now time.Duration) {
		t.Helper()
		if b := best(samples, clock.Instant(now)); !b.holds(offset(now)) {
			t.Fatalf("after %v: got %v, want %v within", now, b, offset(now))
		}
	}
	for now := time.Duration(0); now < 2*time.Hour; now += 10 * time.Second {
		delay := rand.N(5 * time.Millisecond)
		samples = add(samples, sample{bounds{offset(now) - delay, offset(now) + rand.N(5*time.Millisecond)}, clock.Instant(now)})
		check(now)
		if len(samples) > 61 {
			t.Fatalf("%d samples are remembered", len(samples))
		}
	}
	for now := 2 * time.Hour; now < 26*time.Hour; now += time.Minute {
		check(now)
	}
}

// pair are two boots whose clocks a test sets, and that exchange heartbeats.
type pair struct {
	t          *testing.T
	now        time.Duration
	mine, peer ticking
	a, b       *clocks
}

func newPair(t *testing.T, mine, peer time.Duration) *pair {
	p := &pair{t: t, mine: ticking{mine}, peer: ticking{peer}}
	p.a = newClocks("x@web1", func() clock.Instant { return p.mine.at(p.now) })
	p.b = newClocks("x@web2", func() clock.Instant { return p.peer.at(p.now) })
	return p
}

// beat takes a heartbeat from one to another, which arrives after a delay.
func (p *pair) beat(from, to *clocks, delay time.Duration) (answer bool) {
	h := heartbeat{Boot: from.own, Instant: from.now(), Seen: from.seen(), Met: from.met()}
	p.now += delay
	return to.heard(h, to.now())
}

// exchange lets both heartbeats arrive.
func (p *pair) exchange() {
	p.beat(p.a, p.b, time.Millisecond)
	p.beat(p.b, p.a, 2*time.Millisecond)
}

// check checks that the offset is bounded, to within an uncertainty.
func (p *pair) check(when string, uncertainty time.Duration) {
	p.t.Helper()
	low, high, ok := p.a.Offset(p.b.own)
	offset := p.mine.offset - p.peer.offset
	if !ok || !(bounds{low, high}).holds(offset) || high-low > uncertainty {
		p.t.Errorf("%s: got %v to %v, %v, want %v within %v", when, low, high, ok, offset, uncertainty)
	}
}

// TestClocks relates two boots with the same boot ID. Both know each other's clock after one
// heartbeat each and an answer.
func TestClocks(t *testing.T) {
	p := newPair(t, 900*time.Hour, time.Hour)
	if _, _, ok := p.a.Offset(p.b.own); ok {
		t.Error("an unknown boot has an offset")
	}
	if low, high, ok := p.a.Offset("x@web1"); low != 0 || high != 0 || !ok {
		t.Errorf("own boot: got %v, %v, %v", low, high, ok)
	}
	if !p.beat(p.a, p.b, time.Millisecond) || !p.beat(p.b, p.a, 2*time.Millisecond) {
		t.Error("a new boot is not answered")
	}
	p.check("first exchange", 3*time.Millisecond)
	if p.beat(p.a, p.b, time.Millisecond) || p.beat(p.b, p.a, time.Millisecond) {
		t.Error("a known boot is answered")
	}
	for range 100 {
		p.now += 10 * time.Second
		p.exchange()
	}
	p.check("later", 3*time.Millisecond)
	p.now += 10 * time.Minute
	p.check("10 minutes after the last heartbeat", 3*time.Millisecond+1300*time.Millisecond)
}

// TestClockSet sets each of two clocks, by more and by less, within a boot.
func TestClockSet(t *testing.T) {
	for _, by := range []time.Duration{-time.Hour, -time.Second, time.Second, time.Hour} {
		for _, own := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v own %v", by, own), func(t *testing.T) {
				p := newPair(t, 20*time.Hour, 30*time.Hour)
				for range 70 {
					p.exchange()
					p.now += 10 * time.Second
				}
				if own {
					p.mine.offset += by
				} else {
					p.peer.offset += by
				}
				for range 3 { // one heartbeat of each may have been on its way
					p.exchange()
					p.now += 10 * time.Second
				}
				p.check("after the clock was set", 30*time.Millisecond)
			})
		}
	}
}

// TestClockSetBetween sets a clock between two heartbeats that seem to be an exchange.
func TestClockSetBetween(t *testing.T) {
	p := newPair(t, 20*time.Hour, 30*time.Hour)
	p.exchange()
	p.beat(p.a, p.b, time.Millisecond)
	p.peer.offset += time.Minute
	p.beat(p.b, p.a, time.Millisecond)
	if low, high, ok := p.a.Offset(p.b.own); ok {
		t.Errorf("got %v to %v from contradicting heartbeats", low, high)
	}
	p.now += 10 * time.Second
	p.exchange()
	p.check("the next exchange", 30*time.Millisecond)
}

// TestStaleHeartbeat hears a heartbeat that was sent long ago: etcd was restored from a backup. The
// bounds hold, but they are too wide to be used while the peer can answer.
func TestStaleHeartbeat(t *testing.T) {
	for _, mine := range []bool{true, false} {
		t.Run(fmt.Sprint("mine ", mine), func(t *testing.T) {
			p := newPair(t, 20*time.Hour, 30*time.Hour)
			p.beat(p.a, p.b, time.Millisecond)
			h := heartbeat{Boot: p.b.own, Instant: p.b.now(), Seen: p.b.seen(), Met: p.b.met()}
			if mine { // it is this host's that arrives late
				p.b.boots = make(map[string]*boot)
				p.beat(p.a, p.b, 3*time.Minute)
				h.Instant, h.Seen = p.b.now(), p.b.seen()
			} else {
				p.now += 3 * time.Minute
			}
			if !p.a.heard(h, p.a.now()) {
				t.Error("not answered")
			}
			p.check("after an old heartbeat", 4*time.Minute)
			if p.a.exchanged(p.b.own) {
				t.Error("an old heartbeat counts as an exchange")
			}
			if !p.beat(p.a, p.b, time.Millisecond) {
				t.Error("a host that does not know the clock well is not answered")
			}
			if p.beat(p.b, p.a, time.Millisecond); !p.a.exchanged(p.b.own) {
				t.Error("the exchange that followed does not count")
			}
			p.check("after an exchange", 10*time.Millisecond)
		})
	}
}

// TestMissedBootFound asks for a boot that is not known yet.
func TestMissedBootFound(t *testing.T) {
	p := newPair(t, 7*time.Hour, 5*time.Hour)
	p.b.heard(heartbeat{Boot: "displayed", Instant: 1}, p.b.now())
	p.b.wall("displayed", time.Time{})
	p.b.heard(heartbeat{Boot: "displayed", Instant: 2, Seen: map[string]arrival{p.b.own: {Sent: p.b.now(), Reached: 2}}}, p.b.now())
	if p.a.found() || p.b.found() {
		t.Error("found without a question")
	}
	for _, boot := range []string{p.b.own, "other"} {
		if _, _, ok := p.a.Offset(boot); ok || p.a.found() {
			t.Errorf("%s is known", boot)
		}
	}
	p.exchange()
	if !p.a.found() || p.a.found() {
		t.Error("a boot that is known now is not reported once")
	}
}

// TestBootOfTheDead asks for the clock of a boot that only a peer has met. Hearsay is not passed
// on.
func TestBootOfTheDead(t *testing.T) {
	p := newPair(t, 7*time.Hour, 5*time.Hour)
	p.exchange()
	dead := p.b.own
	third := ticking{time.Hour}
	c := newClocks("y@web3", func() clock.Instant { return third.at(p.now) })
	p.now += time.Hour
	for range 2 {
		p.beat(p.a, c, time.Millisecond)
		p.beat(c, p.a, time.Millisecond)
	}
	low, high, ok := c.Offset(dead)
	if offset := third.offset - p.peer.offset; !ok || !(bounds{low, high}).holds(offset) || high-low > 10*time.Second {
		t.Errorf("got %v to %v, %v, want %v", low, high, ok, offset)
	}
	if _, ok := c.met()[dead]; ok {
		t.Error("a boot counts as met that was only heard of")
	}
	if c.exchanged(dead) || !c.exchanged(p.a.own) {
		t.Error("a peer's knowledge of a clock counts as an exchange of heartbeats")
	}
	if own := p.a.met()[c.own]; own == (bounds{}) {
		t.Error("a boot does not count as met that has exchanged heartbeats")
	}
}

// TestBootsBounded meets more boots than are remembered.
func TestBootsBounded(t *testing.T) {
	now := time.Duration(0)
	c := newClocks("x@web1", func() clock.Instant { return clock.Instant(now) })
	for i := range 1000 {
		now += time.Second
		c.heard(heartbeat{Boot: fmt.Sprintf("b%d@web2", i), Instant: 1, Met: map[string]bounds{fmt.Sprintf("d%d@web9", i): {}}}, c.now())
	}
	if len(c.boots) > maxBoots {
		t.Errorf("%d boots are remembered", len(c.boots))
	}
	if c.boots["b999@web2"] == nil {
		t.Error("the last boot is forgotten")
	}
	now += 26 * time.Hour
	c.heard(heartbeat{Boot: "b@web3", Instant: 1}, c.now())
	if len(c.boots) != 1 {
		t.Errorf("%d boots are remembered for more than a day", len(c.boots))
	}
}

// TestWallOffset displays how far a peer's wall clock is ahead.
func TestWallOffset(t *testing.T) {
	p := newPair(t, 900*time.Hour, time.Hour)
	start := time.Unix(1e9, 0)
	p.exchange()
	h := heartbeat{Boot: p.b.own, Instant: p.b.now(), Seen: p.b.seen(), Wall: start.Add(p.now + 7*time.Second).UnixNano()}
	p.now += time.Millisecond
	p.a.heard(h, p.a.now())
	p.now += 8 * time.Second
	ahead, uncertainty, ok := p.a.wall(p.b.own, start.Add(p.now))
	if (ahead-7*time.Second).Abs() > uncertainty || uncertainty > 15*time.Millisecond || !ok {
		t.Errorf("got %v ± %v, %v, want 7s", ahead, uncertainty, ok)
	}
}
