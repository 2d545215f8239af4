package refresh

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"

	"tokend/daemon/clock"
)

// ring is owners that are served round robin, each with what it has waiting. An owner is a value
// that can be compared. The zero value is ready.
type ring[T any] struct {
	order list.List // of *member[T], the next to be served first
	by    map[any]*list.Element
}

type member[T any] struct {
	owner   any
	waiting T
}

// join returns what owner has waiting. A new owner is served last.
func (r *ring[T]) join(owner any) *T {
	if have := r.find(owner); have != nil {
		return have
	}
	if r.by == nil {
		r.by = map[any]*list.Element{}
	}
	m := &member[T]{owner: owner}
	r.by[owner] = r.order.PushBack(m)
	return &m.waiting
}

// find returns what owner has waiting; nil if it is not in the ring.
func (r *ring[T]) find(owner any) *T {
	if at := r.by[owner]; at != nil {
		return &at.Value.(*member[T]).waiting
	}
	return nil
}

// leave takes owner out.
func (r *ring[T]) leave(owner any) {
	if at := r.by[owner]; at != nil {
		r.order.Remove(at)
		delete(r.by, owner)
	}
}

// next returns the first owner that fits, which is served last from now on; a nil waiting if none
// does.
func (r *ring[T]) next(fits func(owner any, waiting *T) bool) (owner any, waiting *T) {
	for at := r.order.Front(); at != nil; at = at.Next() {
		if m := at.Value.(*member[T]); fits(m.owner, &m.waiting) {
			r.order.MoveToBack(at)
			return m.owner, &m.waiting
		}
	}
	return nil, nil
}

// all yields the owners in order. The current one may be taken out.
func (r *ring[T]) all(yield func(owner any, waiting *T) bool) {
	for at := r.order.Front(); at != nil; {
		m, next := at.Value.(*member[T]), at.Next()
		if !yield(m.owner, &m.waiting) {
			return
		}
		at = next
	}
}

// places is which owner has how many of the places at a host. With one owner's calls hanging, the
// others must find a place: no owner has more than share of them, and the last spare ones are for
// owners that have none. An owner is whose the credential is, see ownerOf: all customers of a
// platform are one.
type places struct {
	limit int // how many there are
	share int // the most for one owner
	spare int

	// taken does not count what an owner has above a share that was lowered: other owners do not
	// wait for that.
	taken int
	of    map[any]int // by owner; those that have one at least
}

// division returns the share of one owner and the spare places, of so many places.
type division func(limit int) (share, spare int)

// halves lets no owner have more than half of the places at a host.
func halves(limit int) (share, spare int) { return max(1, limit/2), limit / 8 }

// undivided lets an owner have all.
func undivided(limit int) (share, spare int) { return limit, 0 }

// open reports whether there is a place for owner.
func (p *places) open(owner any) bool {
	switch have := p.of[owner]; {
	case have >= p.share:
		return false
	case have == 0:
		return p.taken < p.limit
	}
	return p.taken < p.limit-p.spare
}

// full reports whether there is no place for any owner.
func (p *places) full() bool { return p.taken >= p.limit }

// take takes a place for owner; there is one.
func (p *places) take(owner any) {
	if p.of == nil {
		p.of = map[any]int{}
	}
	p.of[owner]++
	p.taken++
}

// give gives back a place of owner.
func (p *places) give(owner any) {
	have := p.of[owner]
	if have <= p.share {
		p.taken--
	}
	if have == 1 {
		delete(p.of, owner)
		return
	}
	p.of[owner] = have - 1
}

// resize changes how many places there are.
func (p *places) resize(limit int, by division) {
	p.limit, p.taken = limit, 0
	p.share, p.spare = by(limit)
	for _, have := range p.of {
		p.taken += min(have, p.share)
	}
}

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

// try enters for a call of owner's if there is a place for owner, and reports whether there was.
// Then no call of owner's waits: it would have been let in before. Each caller that entered leaves,
// with the round that it entered in.
func (l *limiter) try(owner any) (round int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.places.open(owner) {
		return 0, false
	}
	l.places.take(owner)
	return l.round, true
}

// enter is try, but waits for a place.
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
