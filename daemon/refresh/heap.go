package refresh

import (
	"sync"
	"time"

	"tokend/daemon/clock"
)

// longestNap bounds how long the schedule sleeps, because Go's timers stand still while
// the host is suspended: after a resume what is due is noticed this soon.
const longestNap = 10 * time.Second

// schedule is all that is due, in two heaps: what is to come, earliest first; and, of what has come, the
// customers' refreshes that wait for the [pace], those of most need first. An entry stands in one of
// them at most.
type schedule struct {
	mu      sync.Mutex
	coming  heap
	waiting heap
	// kick is a level trigger: the earliest due time may have changed.
	kick chan struct{}
}

func newSchedule() *schedule {
	return &schedule{coming: heap{sign: 1}, waiting: heap{sign: -1}, kick: make(chan struct{}, 1)}
}

// grow makes room for n entries more.
func (s *schedule) grow(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.coming.slots = append(make([]slot, 0, len(s.coming.slots)+n), s.coming.slots...)
}

// len returns how many entries there is something to be done about.
func (s *schedule) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.coming.slots) + len(s.waiting.slots)
}

// set makes en due at the instant at; never takes it out.
func (s *schedule) set(en *entry, at clock.Instant) {
	s.mu.Lock()
	first := en.place == 1 && at != never
	s.dropLocked(en)
	if at != never {
		s.coming.add(slot{at, en})
		first = first || en.place == 1
	}
	s.mu.Unlock()
	if first {
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}
}

// wait lets en wait for the pace until what is there ends at the instant end.
func (s *schedule) wait(en *entry, end clock.Instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(en)
	s.waiting.add(slot{end, en})
}

func (s *schedule) dropLocked(en *entry) {
	switch p := int(en.place); {
	case p > 0:
		s.coming.remove(p - 1)
	case p < 0:
		s.waiting.remove(-p - 1)
	}
}

// next takes out an entry that is due at now, or one that waited for the pace until its end. With none it
// returns how long it is until there is one, longestNap at most.
func (s *schedule) next(now clock.Instant) (*entry, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := longestNap
	for _, h := range []*heap{&s.coming, &s.waiting} {
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

// waits reports whether somebody waits for the pace.
func (s *schedule) waits() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting.slots) > 0
}

// release takes out the entry of most need that waits for the pace, nil for none.
func (s *schedule) release() *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting.slots) == 0 {
		return nil
	}
	en := s.waiting.first()
	if len(s.waiting.slots) == 0 {
		s.waiting.slots = nil // lets go of the array of a burst
	}
	return en
}

// heap is entries by when they are due, earliest first. A credential costs one
// slot of 16 bytes, not a goroutine or a timer. Each slot has four below it: half as many
// levels as with two, and the four lie in one cache line.
type heap struct {
	slots []slot
	sign  int32 // of the places of those that stand here
}

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
	x.en.place = h.sign * int32(i+1)
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
