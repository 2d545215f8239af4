package footprint

import (
	"context"
	"runtime/debug"
	"time"
)

// every is the interval between two decisions. A burst starts with 50 refreshes per second and is
// noticed before it is at its fastest. A decision takes a few microseconds.
const every = 2 * time.Second

// Keep releases the memory that loading needed, and limits the process's memory until ctx is done.
func Keep(ctx context.Context) {
	if operator() {
		return
	}
	debug.FreeOSMemory() // also runs a collection, so that the live bytes are known
	_, _, made := look()
	p := policy{percent: standard}
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
