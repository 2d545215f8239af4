package footprint

import (
	"runtime"
	"testing"
	"time"
)

const mib = 1 << 20

func TestPercentFor(t *testing.T) {
	for _, tc := range []struct {
		live, burst uint64
		want        int
	}{
		{0, 0, 100},
		{4 * mib, 0, 100},
		{8 * mib, 0, 100},
		{16 * mib, 0, 50},
		{80 * mib, 0, 10},
		{800 * mib, 0, 78},
		{1 << 30, 0, 100},
		{64 << 30, 0, 100},
		{0, 32 * mib, 100},
		{4 * mib, 32 * mib, 300},
		{4 * mib, 2 * mib, 100},
		{16 * mib, 32 * mib, 200},
		{64 * mib, 32 * mib, 50},
		{64 * mib, 4 * mib, 12},
		{800 * mib, 32 * mib, 78},
	} {
		if got := percentFor(tc.live, tc.burst); got != tc.want {
			t.Errorf("%d MiB, a burst of %d MiB: got %d %%, want %d", tc.live/mib, tc.burst/mib, got, tc.want)
		}
	}
}

// TestBurst checks that a burst gets its headroom at once, and loses it when it has not been needed
// for a while.
func TestBurst(t *testing.T) {
	const live = 64 * mib
	p := policy{percent: 100}
	step := func(what string, made uint64, n, want int) {
		t.Helper()
		for range n {
			p.decide(live, made, every)
		}
		if p.percent != want {
			t.Errorf("%s: got %d %%, want %d", what, p.percent, want)
		}
	}
	few := int(calm / every)
	step("at first", 0, 1, 12)
	step("what a hundred credentials make", 1<<10, few, 12)
	step("a burst", 40*mib, 1, 31)
	step("a larger one", 100*mib, 1, 50)
	step("a pause", 0, few/2, 50)
	step("it continues", 100*mib, 1, 50)
	step("another pause", 0, few-1, 50)
	step("the end", 0, 1, 12)
	step("a smaller burst", 24*mib, 1, 18)
	step("a larger one again", 100*mib, 1, 50)
	step("back to the smaller", 24*mib, few, 18)
}

// TestSmallChangeIgnored checks that a small change of the percentage does not stop the world.
func TestSmallChangeIgnored(t *testing.T) {
	p := policy{percent: 100}
	if !p.decide(80*mib, 0, every) || p.percent != 10 {
		t.Fatalf("got %d %%, want 10", p.percent)
	}
	if p.decide(76*mib, 0, every) || !p.decide(64*mib, 0, every) || p.decide(64*mib, 0, every) {
		t.Errorf("a small change was applied, or a large one was not: %d %%", p.percent)
	}
}

// TestLook checks that allocated bytes are measured, and live bytes after a collection.
func TestLook(t *testing.T) {
	_, _, before := look()
	made := make([]byte, 8*mib)
	runtime.GC() // before the first collection, live is zero
	held, live, after := look()
	if after-before < uint64(len(made)) || live == 0 || held < live {
		t.Errorf("allocated %d bytes, measured %d; %d live of %d", len(made), after-before, live, held)
	}
}

// TestLiveCountsAtOnce checks that headroom does not grow with live data in a burst: the percentage
// falls before the rate of garbage is measured again.
func TestLiveCountsAtOnce(t *testing.T) {
	p := policy{percent: 100}
	p.decide(4*mib, 64*mib, every)
	if p.percent != 300 || p.pause() >= every {
		t.Fatalf("a burst: got %d %%, decided again after %v", p.percent, p.pause())
	}
	for _, live := range []uint64{8, 16, 32} {
		p.decide(live*mib, 6*mib, p.pause())
		if room := uint64(p.percent) * live * mib / 100; room > max(mostRoom, leastRoom) {
			t.Errorf("%d MiB live: got %d %%, headroom of %d MiB", live, p.percent, room/mib)
		}
	}
}

// TestGiveBack checks that memory is returned once after a burst, and not if it would be little.
func TestGiveBack(t *testing.T) {
	const live, full, spare = 16 * mib, 60 * mib, 19 * mib
	for _, tc := range []struct {
		name         string
		burst, after uint64
		held         uint64
		want         bool
	}{
		{"a mass fetch", 64 * mib, 0, full, true},
		{"a small one", mib, 0, full, true},
		{"a few refreshes", mib / 2, 0, full, false},
		{"it continues", 2 * mib, mib + mib/2, full, false},
		{"little to give", 64 * mib, 0, spare, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := policy{percent: 100}
			p.decide(live, tc.burst, every)
			given := 0
			for range int(3 * calm / every) {
				p.decide(live, tc.after, every)
				if p.giveBack(live, tc.held) {
					given++
				}
			}
			if want := map[bool]int{true: 1}[tc.want]; given != want {
				t.Errorf("returned %d times, want %d", given, want)
			}
		})
	}
}

// TestGiveBackInTime checks when memory is returned after a burst whose beginning made more garbage
// than the rest of it, for each length of the rest.
func TestGiveBackInTime(t *testing.T) {
	const live, full = 16 * mib, 60 * mib
	for rest := range 40 {
		p := policy{percent: 100}
		p.decide(live, 20*mib, every)
		for range rest {
			p.decide(live, 13*mib, every)
			if p.giveBack(live, full) {
				t.Errorf("a rest of %d: memory was returned during the burst", rest)
			}
		}
		took := time.Duration(0)
		for given := false; !given && took < 2*calm; given = p.giveBack(live, full) {
			p.decide(live, mib/8, every)
			took += every
		}
		if took > calm+every {
			t.Errorf("a rest of %d: memory was returned after %v, want %v", rest, took, calm)
		}
	}
}
