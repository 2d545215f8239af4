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
// owners that have none. Owners whose calls hang have no more than share together. An owner is
// whose the credential is, see ownerOf: all customers of a platform are one.
type places struct {
	hanging *hanging // nil for none
	most    int      // the limit of those that are taken, counted or not

	limit int // how many there are
	share int // the most for one owner
	spare int

	// taken does not count what an owner has above a share that was lowered: other owners do not
	// wait for that.
	taken int
	all   int         // counts that, too
	of    map[any]int // by owner; those that have one at least

	narrowed map[any]*narrowing // owners that have a smaller share
}

// narrowing is the share of an owner to which the host has answered that it makes too many calls at
// once.
type narrowing struct {
	share   int
	round   int           // calls that entered before it were in flight together
	changed clock.Instant // when the share was, last
	lowered clock.Instant // when it was lowered, last
}

// division returns the share of one owner and the spare places, of so many places.
type division func(limit int) (share, spare int)

// halves lets no owner have more than half of the places at a host.
func halves(limit int) (share, spare int) { return max(1, limit/2), limit / 8 }

// undivided lets an owner have all.
func undivided(limit int) (share, spare int) { return limit, 0 }

// open reports whether there is a place for owner.
func (p *places) open(owner any) bool { return p.opens()(owner) }

// opens returns open for several owners, until a place is taken or given back. What it takes to
// know which places hang is done once for all.
func (p *places) opens() func(owner any) bool {
	hung := p.hung()
	taken := p.counted(hung)
	return func(owner any) bool {
		switch have := p.of[owner]; {
		case have >= p.shareOf(owner) || p.all >= p.most || hung >= p.share && p.hanging.has(owner):
			return false
		case have == 0:
			return taken < p.limit
		default:
			return taken < p.limit-p.spare
		}
	}
}

// shareOf returns the most places for owner.
func (p *places) shareOf(owner any) int {
	if n := p.narrowed[owner]; n != nil {
		return min(n.share, p.share)
	}
	return p.share
}

// full reports whether there is no place for any owner.
func (p *places) full() bool { return p.all >= p.most || p.counted(p.hung()) >= p.limit }

// hung returns how many places owners have whose calls hang.
func (p *places) hung() (n int) {
	if !p.hanging.some() {
		return 0
	}
	for owner, have := range p.of {
		if p.hanging.has(owner) {
			n += min(have, p.share)
		}
	}
	return n
}

// counted returns how many places are taken, without what owners whose calls hang have above a
// share: they took places before that was known, and other owners do not wait for those.
func (p *places) counted(hung int) int { return p.taken - max(0, hung-p.share) }

// take takes a place for owner; there is one.
func (p *places) take(owner any) {
	if p.of == nil {
		p.of = map[any]int{}
	}
	p.of[owner]++
	p.taken++
	p.all++
}

// give gives back a place of owner.
func (p *places) give(owner any) {
	have := p.of[owner]
	p.all--
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

// limiter bounds the calls in flight. An answer that there are too many narrows the share of its
// owner to half of what it had. If another owner got such an answer lately, the host may count the
// calls of an address, and the whole limiter is narrowed to half of what there were. Both widen
// again one by one, as calls succeed.
type limiter struct {
	// Set when the limiter is made.
	most, least int // bounds of the limit
	by          division

	mu      sync.Mutex // guards what follows
	places  places
	waiting [2]ring[[]chan struct{}] // by rank and owner, first come first served; closed to let in
	round   int                      // how often the limit or a share was lowered
	lowered int                      // the round since the limit was, last
	changed clock.Instant            // when the limit was, last
}

// newLimiter returns a limiter of most calls in flight, least when it is narrowed, which owners
// share by a division.
func newLimiter(most, least int, by division) *limiter {
	l := &limiter{most: most, least: min(least, most), by: by}
	l.places.most = most
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
	if crowded {
		l.narrowLocked(now, owner, round)
	} else {
		l.widenLocked(now, owner)
	}
	l.places.give(owner)
	l.admitLocked()
}

// narrowLocked lowers the share of owner, or the limit as well: if all may be one owner's, or
// another owner has had its share lowered lately.
func (l *limiter) narrowLocked(now clock.Instant, owner any, round int) {
	p := &l.places
	alone := p.share < p.limit
	if alone {
		before := p.narrowed[owner]
		if before != nil && round < before.round {
			return
		}
		for other, n := range p.narrowed {
			alone = alone && (other == owner || now.Sub(n.lowered) >= widenEvery)
		}
		if p.narrowed == nil {
			p.narrowed = map[any]*narrowing{}
		}
		l.round++
		p.narrowed[owner] = &narrowing{max(1, min(p.of[owner], p.shareOf(owner))/2), l.round, now, now}
	}
	if !alone && round >= l.lowered {
		p.resize(max(l.least, min(p.taken, p.limit)/2), l.by)
		l.round++
		l.lowered, l.changed = l.round, now
	}
}

// widenLocked raises what was lowered long enough ago.
func (l *limiter) widenLocked(now clock.Instant, owner any) {
	p := &l.places
	if p.limit < l.most && now.Sub(l.changed) >= widenEvery {
		p.resize(p.limit+1, l.by)
		l.changed = now
	}
	if n := p.narrowed[owner]; n != nil && now.Sub(n.changed) >= widenEvery {
		n.share++
		n.changed = now
		if n.share >= p.share {
			delete(p.narrowed, owner)
		}
	}
}

// widen ends all narrowing at once: its cause is known to be over.
func (l *limiter) widen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.places.narrowed)
	l.places.resize(l.most, l.by)
	l.admitLocked()
}

// admit lets in calls that wait: places may be open that were not.
func (l *limiter) admit() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.admitLocked()
}

func (l *limiter) admitLocked() {
	for r := range l.waiting {
		for !l.places.full() {
			open := l.places.opens()
			owner, waiting := l.waiting[r].next(func(owner any, _ *[]chan struct{}) bool { return open(owner) })
			if waiting == nil {
				break
			}
			l.places.take(owner)
			close((*waiting)[0])
			l.removeLocked(owner, rank(r), waiting, 0)
		}
	}
}
