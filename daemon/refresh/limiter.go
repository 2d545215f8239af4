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

// limiter bounds the calls in flight. A host that answers that there are too many narrows it to
// half of what there were; it widens again one by one, as calls succeed.
type limiter struct {
	// Set when the limiter is made.
	most, least int // bounds of the limit
	by          division

	mu      sync.Mutex // guards what follows
	places  places
	waiting [2]ring[[]chan struct{}] // by rank and owner, first come first served; closed to let in
	round   int                      // how often the limit was lowered
	changed clock.Instant            // when the limit was, last
}

// newLimiter returns a limiter of most calls in flight, least when it is narrowed, which owners
// share by a division.
func newLimiter(most, least int, by division) *limiter {
	l := &limiter{most: most, least: min(least, most), by: by}
	l.places.resize(most, by)
	return l
}

// rank is which calls enter a limiter first. Within a rank, owners are served round robin.
type rank int

const (
	awaited rank = iota // somebody waits for the call
	patient             // the schedule makes it
)

// enter waits for a place for a call of owner's. Each caller that entered leaves, with the round
// that it entered in.
func (l *limiter) enter(ctx context.Context, owner any, r rank) (round int, err error) {
	place := make(chan struct{})
	l.mu.Lock()
	waiting := l.waiting[r].join(owner)
	*waiting = append(*waiting, place)
	l.admitLocked()
	l.mu.Unlock()
	select {
	case <-place:
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() == nil {
		return l.round, nil
	}
	if !l.withdrawLocked(owner, r, place) {
		// Let in and canceled at the same moment: the next gets the place.
		l.places.give(owner)
		l.admitLocked()
	}
	return 0, ctx.Err()
}

// withdrawLocked takes a call that waits out of the queue, and reports whether it was in there.
func (l *limiter) withdrawLocked(owner any, r rank, place chan struct{}) bool {
	waiting := l.waiting[r].find(owner)
	if waiting == nil {
		return false
	}
	i := slices.Index(*waiting, place)
	if i < 0 {
		return false
	}
	l.removeLocked(owner, r, waiting, i)
	return true
}

func (l *limiter) removeLocked(owner any, r rank, waiting *[]chan struct{}, i int) {
	if *waiting = slices.Delete(*waiting, i, i+1); len(*waiting) == 0 {
		l.waiting[r].leave(owner)
	}
}

// leave gives back a place. crowded reports that the host answered that there were too many calls
// at once; of those that were in flight together it counts once.
func (l *limiter) leave(now clock.Instant, owner any, round int, crowded bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch limit := l.places.limit; {
	case crowded && round == l.round:
		l.places.resize(max(l.least, min(l.places.taken, limit)/2), l.by)
		l.round++
		l.changed = now
	case crowded:
	case limit < l.most && now.Sub(l.changed) >= widenEvery:
		l.places.resize(limit+1, l.by)
		l.changed = now
	}
	l.places.give(owner)
	l.admitLocked()
}

// widen ends all narrowing at once: its cause is known to be over.
func (l *limiter) widen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.places.resize(l.most, l.by)
	l.admitLocked()
}

func (l *limiter) admitLocked() {
	open := func(owner any, _ *[]chan struct{}) bool { return l.places.open(owner) }
	for r := range l.waiting {
		for l.places.taken < l.places.limit {
			owner, waiting := l.waiting[r].next(open)
			if waiting == nil {
				break
			}
			l.places.take(owner)
			close((*waiting)[0])
			l.removeLocked(owner, rank(r), waiting, 0)
		}
	}
}
