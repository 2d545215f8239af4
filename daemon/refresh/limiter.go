package refresh

import (
	"context"
	"slices"
	"sync"
	"time"

	"tokend/daemon/clock"
)

// widenEvery is how long a limiter that was narrowed waits before it lets one more call in.
const widenEvery = 30 * time.Second

// limiter bounds the calls that are under way at once to one of WeChat's hosts. A host that says
// that there are too many narrows it to half of what there were; it widens again one
// by one, as calls succeed.
type limiter struct {
	most int // set when the limiter is made

	mu      sync.Mutex // guards what follows
	limit   int        // at most most, at least 1
	busy    int
	queues  [2][]chan struct{} // who waits, by rank; within one first come first served. Closed to let in
	round   int                // how often limit was lowered
	changed clock.Instant      // when limit was, last
}

func newLimiter(most int) *limiter { return &limiter{most: most, limit: most} }

// rank is who enters a limiter first.
type rank int

const (
	awaited rank = iota // somebody waits for the call
	patient             // the schedule makes it
)

// enter waits until there is room. Whoever entered leaves, with the round that it entered in.
func (l *limiter) enter(ctx context.Context, r rank) (round int, err error) {
	l.mu.Lock()
	if l.busy < l.limit && len(l.queues[awaited]) == 0 && len(l.queues[patient]) == 0 {
		defer l.mu.Unlock()
		l.busy++
		return l.round, nil
	}
	turn := make(chan struct{})
	l.queues[r] = append(l.queues[r], turn)
	l.mu.Unlock()
	select {
	case <-turn:
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.round, nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.queues[r], turn); i >= 0 {
		l.queues[r] = slices.Delete(l.queues[r], i, i+1)
		return 0, ctx.Err()
	}
	// Let in and given up in the same moment: the room goes to the next.
	l.busy--
	l.admitLocked()
	return 0, ctx.Err()
}

// leave makes room. crowded reports that the host said that there were too many calls
// at once; of those that were under way together it counts once.
func (l *limiter) leave(now clock.Instant, round int, crowded bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case crowded && round == l.round:
		l.limit = max(1, min(l.busy, l.limit)/2)
		l.round++
		l.changed = now
	case crowded:
	case l.limit < l.most && now.Sub(l.changed) >= widenEvery:
		l.limit++
		l.changed = now
	}
	l.busy--
	l.admitLocked()
}

// widen ends all narrowing at once: its cause is known to be over.
func (l *limiter) widen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit = l.most
	l.admitLocked()
}

func (l *limiter) admitLocked() {
	for r := range l.queues {
		for l.busy < l.limit && len(l.queues[r]) > 0 {
			l.busy++
			close(l.queues[r][0])
			l.queues[r] = slices.Delete(l.queues[r], 0, 1)
		}
	}
}
