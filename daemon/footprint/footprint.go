package footprint

import (
	"context"
	"runtime/debug"
	"time"
)

// every is how often the decision is made anew: often enough that a burst of refreshes, which
// begins with fifty a second, is seen before it is at its fastest. It takes some microseconds.
const every = 2 * time.Second

// Keep gives back what loading has left behind, and holds the process small until ctx is done.
func Keep(ctx context.Context) {
	if operator() {
		return
	}
	debug.FreeOSMemory() // collects first, so that what lives is known
	_, made := look()
	var p policy
	p.percent = 100 // Go's own
	decide := func() {
		live, all := look()
		if p.decide(live, all-made, every) {
			gc.decide(p.percent)
		}
		made = all
	}
	decide()
	reclaim()
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			decide()
		case <-ctx.Done():
			return
		}
	}
}
