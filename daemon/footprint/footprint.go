package footprint

import (
	"context"
	"runtime/debug"
	"time"
)

// every is how often the decision is made again: often enough that a burst of refreshes, which
// begins with fifty a second, is seen before it is at its fastest. It takes some microseconds.
const every = 2 * time.Second

// Keep gives back what loading has left behind, and holds the process small until ctx is done.
func Keep(ctx context.Context) {
	if operator() {
		return
	}
	debug.FreeOSMemory() // collects first, so that what lives is known
	_, _, made := look()
	p := policy{percent: 100} // Go's own
	decide := func(passed time.Duration) {
		held, live, all := look()
		if p.decide(live, all-made, passed) {
			gc.decide(p.percent)
		}
		made = all
		if p.giveBack(live, held) {
			debug.FreeOSMemory()
			reclaim()
		}
	}
	decide(every)
	reclaim()
	pause := p.pause()
	t := time.NewTimer(pause)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			decide(pause)
			pause = p.pause()
			t.Reset(pause)
		case <-ctx.Done():
			return
		}
	}
}
