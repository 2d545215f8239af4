package footprint

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// leastRoom is that for some hundred refreshes, each of which makes about 50 kB of garbage.
	leastRoom = 8 << 20

	// square divides live²: see the package's documentation.
	square = 1 << 30

	// every is how often the decision is made anew. Credentials come and go in hours.
	every = time.Minute
)

// Keep gives back what loading has left behind, and holds the process small until ctx is done.
func Keep(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	percent := 100
	decide := func() {
		if p := percentFor(live()); p != percent {
			percent = p
			debug.SetGCPercent(p)
		}
	}
	debug.FreeOSMemory() // collects first, so that what lives is known
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

// percentFor returns for how many percent of live garbage may gather.
func percentFor(live uint64) int {
	if live == 0 {
		return 100
	}
	room := max(leastRoom, live/1024*live/(square/1024))
	return max(1, int(min(room, live)*100/live))
}

// live returns how much the last collection has found to be in use, in bytes.
func live() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s[0].Value.Uint64()
}
