package refresh

import (
	"sync"
	"time"

	"tokend/daemon/clock"
)

// longestNap bounds how long the schedule sleeps, because Go's timers stand still while
// the host is suspended: after a resume what is due is noticed this soon.
const longestNap = 10 * time.Second

// schedule is all that is due: what is to come, earliest first; and, of what has come, the
// customers' refreshes that wait for the [pace] of their host, those of most need first. An entry
// stands in one heap at most.
type schedule struct {
	mu    sync.Mutex
	heaps [1 + 2*hosts]heap
	// kick is a level trigger: the earliest due time may have changed.
	kick chan struct{}
}

// coming is the number of the heap of what is to come. Each host has two more: of those that wait,
// and of those that have yielded to them.
const coming = 0

func waiting(host int) int { return 1 + 2*host }
func yielded(host int) int { return 2 + 2*host }

func newSchedule() *schedule {
	s := &schedule{kick: make(chan struct{}, 1)}
	for i := range s.heaps {
		s.heaps[i].number = int32(i)
	}
	return s
}

// grow makes room for n entries more.
func (s *schedule) grow(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &s.heaps[coming]
	h.slots = append(make([]slot, 0, len(h.slots)+n), h.slots...)
}

// len returns how many entries there is something to be done about.
func (s *schedule) len() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.heaps {
		n += len(s.heaps[i].slots)
	}
	return n
}

// set makes en due at the instant at; never takes it out.
func (s *schedule) set(en *entry, at clock.Instant) {
	s.mu.Lock()
	h := &s.heaps[coming]
	first := h.leads(en) && at != never
	s.dropLocked(en)
	if at != never {
		h.add(slot{at, en})
		first = first || h.leads(en)
	}
	s.mu.Unlock()
	if first {
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}
}

// wait lets en wait for the pace of host until what is there ends at the instant end.
func (s *schedule) wait(host int, en *entry, end clock.Instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(en)
	s.heaps[waiting(host)].add(slot{end, en})
}

func (s *schedule) dropLocked(en *entry) {
	if en.place != 0 {
		s.heaps[en.place%heapNumbers].remove(int(en.place/heapNumbers) - 1)
	}
}

// next takes out an entry that is due at now, or one that waited for the pace until its end. With
// none it returns how long it is until there is one, longestNap at most.
func (s *schedule) next(now clock.Instant) (*entry, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := longestNap
	for i := range s.heaps {
		h := &s.heaps[i]
		if len(h.slots) == 0 {
			continue
		}
		left := h.slots[0].due.Sub(now)
		if left <= 0 {
			return h.first(), 0
		}
		wait = min(wait, left)
	}
	return nil, wait
}

// waits reports whether somebody waits for the pace of host.
func (s *schedule) waits(host int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.heaps[waiting(host)].slots)+len(s.heaps[yielded(host)].slots) > 0
}

// release takes out the entry of most need that waits for the pace of host, nil for none. Where
// there is no time for all, those that nobody has wanted lately yield to those that somebody has.
func (s *schedule) release(host int, short bool, now clock.Instant) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, y := &s.heaps[waiting(host)], &s.heaps[yielded(host)]
	if short {
		for range yieldAtOnce {
			if len(w.slots) == 0 || w.slots[0].due >= behind || w.slots[0].en.lately(now) {
				break
			}
			x := w.slots[0]
			w.remove(0)
			y.add(x)
		}
	}
	switch {
	case len(w.slots) == 0 && len(y.slots) == 0:
		return nil
	case len(y.slots) == 0, len(w.slots) > 0 && (w.slots[0].due < y.slots[0].due || short && w.slots[0].due < behind):
		return w.firstOf()
	}
	return y.firstOf()
}

// yieldAtOnce bounds how many yield in one release, for which readers of the schedule are held up.
const yieldAtOnce = 64

// needs returns how many refreshes a second it takes for all that wait for the pace of host to be
// refreshed before their end, soonest-ending first.
func (s *schedule) needs(host int, now clock.Instant) float64 {
	var ends demand
	s.mu.Lock()
	s.heaps[waiting(host)].sample(&ends, now)
	s.heaps[yielded(host)].sample(&ends, now)
	s.mu.Unlock()
	return ends.rate()
}

// heap is entries by when they are due, earliest first. A credential costs one
// slot of 16 bytes, not a goroutine or a timer. Each slot has four below it: half as many
// levels as with two, and the four lie in one cache line.
type heap struct {
	slots  []slot
	number int32 // among those of the schedule
}

// heapNumbers is more than there are heaps: the place of an entry is that in its heap, counted from
// one, times this, plus the number of its heap.
const heapNumbers = 8

// slot is an entry and when it is due.
type slot struct {
	due clock.Instant
	en  *entry
}

// add puts in x, which stands nowhere.
func (h *heap) add(x slot) {
	h.slots = append(h.slots, slot{})
	h.up(len(h.slots)-1, x)
}

// first takes out the earliest; there is one.
func (h *heap) first() *entry {
	en := h.slots[0].en
	h.remove(0)
	return en
}

// firstOf is first, of a heap that is filled by bursts: it lets go of its array with the last of
// one.
func (h *heap) firstOf() *entry {
	en := h.first()
	if len(h.slots) == 0 {
		h.slots = nil
	}
	return en
}

// leads reports whether en is the earliest.
func (h *heap) leads(en *entry) bool { return len(h.slots) > 0 && h.slots[0].en == en }

// sample adds the ends of those that stand here to d: of very many only as many as tell enough.
func (h *heap) sample(d *demand, now clock.Instant) {
	every := 1 + len(h.slots)/samples
	for i := 0; i < len(h.slots); i += every {
		d.add(h.slots[i].due.Sub(now), every)
	}
}

// samples is of how many ends a sample is, about.
const samples = 1 << 16

// remove takes out what stands at i.
func (h *heap) remove(i int) {
	h.slots[i].en.place = 0
	n := len(h.slots) - 1
	last := h.slots[n]
	h.slots[n] = slot{}
	h.slots = h.slots[:n]
	if i == n {
		return
	}
	if i > 0 && last.due < h.slots[(i-1)/4].due {
		h.up(i, last)
	} else {
		h.down(i, last)
	}
}

// put puts x at i.
func (h *heap) put(i int, x slot) {
	h.slots[i] = x
	x.en.place = int32(i+1)*heapNumbers + h.number
}

// up puts x, for which there is a gap at i, there or above.
func (h *heap) up(i int, x slot) {
	for i > 0 {
		parent := (i - 1) / 4
		if h.slots[parent].due <= x.due {
			break
		}
		h.put(i, h.slots[parent])
		i = parent
	}
	h.put(i, x)
}

// down puts x, for which there is a gap at i, there or below.
func (h *heap) down(i int, x slot) {
	for {
		least := 4*i + 1
		if least >= len(h.slots) {
			break
		}
		for c := least + 1; c < min(4*i+5, len(h.slots)); c++ {
			if h.slots[c].due < h.slots[least].due {
				least = c
			}
		}
		if x.due <= h.slots[least].due {
			break
		}
		h.put(i, h.slots[least])
		i = least
	}
	h.put(i, x)
}
