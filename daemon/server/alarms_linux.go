package server

import "time"

// alarm is a timeout of a member. It belongs to one set of alarms. The zero value is not set.
type alarm struct {
	due   time.Duration // by the loop's clock; 0 for never
	key   time.Duration // the sort key: due, or earlier
	place int           // index in the heap plus 1; 0 for not in it
	of    *member
}

// alarms are a heap of alarms, the earliest first. A postponed alarm stays in its place until its
// old time, and a cancelled one until its member ends. Most alarms are postponed repeatedly or
// cancelled, and that costs nothing.
type alarms []*alarm

// set makes a due at due, which is not 0.
func (as *alarms) set(a *alarm, due time.Duration) {
	a.due = due
	switch {
	case a.place == 0:
		a.key = due
		*as = append(*as, a)
		a.place = len(*as)
		as.up(a)
	case due < a.key:
		a.key = due
		as.up(a)
	}
}

// drop removes a, if it is in the heap.
func (as *alarms) drop(a *alarm) {
	if a.place == 0 {
		return
	}
	h := *as
	last := h[len(h)-1]
	h[len(h)-1] = nil
	*as = h[:len(h)-1]
	if last != a {
		h[a.place-1], last.place = last, a.place
		as.up(last)
		as.down(last)
	}
	a.place, a.due = 0, 0
}

// next removes and returns an alarm that is due at now; nil for none.
func (as *alarms) next(now time.Duration) *alarm {
	for len(*as) > 0 {
		first := (*as)[0]
		switch {
		case first.key > now:
			return nil
		case first.due > now: // it has been postponed
			first.key = first.due
			as.down(first)
			continue
		}
		taken := first.due != 0
		as.drop(first)
		if taken {
			return first
		}
	}
	return nil
}

// first returns when next may return an alarm; false for never.
func (as alarms) first() (time.Duration, bool) {
	if len(as) == 0 {
		return 0, false
	}
	return as[0].key, true
}

func (as alarms) up(a *alarm) {
	for i := a.place - 1; i > 0; {
		parent := (i - 1) / 2
		if as[parent].key <= a.key {
			return
		}
		as.swap(i, parent)
		i = parent
	}
}

func (as alarms) down(a *alarm) {
	for i := a.place - 1; ; {
		child := 2*i + 1
		if child >= len(as) {
			return
		}
		if child+1 < len(as) && as[child+1].key < as[child].key {
			child++
		}
		if a.key <= as[child].key {
			return
		}
		as.swap(i, child)
		i = child
	}
}

func (as alarms) swap(i, j int) {
	as[i], as[j] = as[j], as[i]
	as[i].place, as[j].place = i+1, j+1
}
