package refresh

import "container/list"

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
