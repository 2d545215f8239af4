package refresh

import (
	"sync"
	"time"

	"tokend/daemon/clock"
)

// longestNap bounds how long the schedule sleeps, because Go's timers stand still while
// the host is suspended: after a resume what is due is noticed this soon.
const longestNap = 10 * time.Second

// schedule is all that is due: what is to come, earliest first, and what has come and waits for a
// place or for the [pace] of its host. An entry is in one heap at most.
type schedule struct {
	mu       sync.Mutex
	coming   entryHeap
	backlogs []hostBacklog // by the host's number
	// kick is a level trigger: the earliest due time may have changed.
	kick chan struct{}
}

// heapNumbers is more than the number of heaps of one kind. The place of an entry is its index in
// its heap, counted from one, times heapNumbers, plus the number of the heap. That number is zero
// for the coming entries.
const heapNumbers = 64

// mostHosts is how many hosts that leaves room for.
const mostHosts = (heapNumbers - 1) / dueHeaps

// heapNumber returns the number of a heap of one owner at host.
func heapNumber(host, heap int) int { return 1 + host*dueHeaps + heap }

func newSchedule(hosts int) *schedule {
	return &schedule{backlogs: make([]hostBacklog, hosts), kick: make(chan struct{}, 1)}
}

// grow makes room for n entries more.
func (s *schedule) grow(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &s.coming
	h.slots = append(make([]slot, 0, len(h.slots)+n), h.slots...)
}

// len returns how many entries there is something to be done about.
func (s *schedule) len() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n = len(s.coming.slots)
	for i := range s.backlogs {
		n += s.backlogs[i].len
	}
	return n
}

// set makes en due at the instant at; never takes it out.
func (s *schedule) set(en *entry, at clock.Instant) {
	s.mu.Lock()
	h := &s.coming
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

// wait lets en, which is due, wait in one of the heaps of its owner until its value expires at the
// instant end.
func (s *schedule) wait(host, heap int, en *entry, end clock.Instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(en)
	s.backlogs[host].add(heapNumber(host, heap), en, end)
}

func (s *schedule) dropLocked(en *entry) {
	if en.place == 0 {
		return
	}
	number, i := int(en.place%heapNumbers), int(en.place/heapNumbers)-1
	if number == 0 {
		s.coming.remove(i)
		return
	}
	s.backlogs[(number-1)/dueHeaps].drop(number, en, i)
}

// next takes out an entry that is due at now, or has waited until its value expired. With
// none it returns how long it is until there is one, longestNap at most.
func (s *schedule) next(now clock.Instant) (*entry, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := longestNap
	if h := &s.coming; len(h.slots) > 0 {
		left := h.slots[0].due.Sub(now)
		if left <= 0 {
			return h.first(), 0
		}
		wait = min(wait, left)
	}
	for i := range s.backlogs {
		b := &s.backlogs[i]
		if en := b.expired(now); en != nil {
			return en, 0
		}
		if b.len > 0 {
			wait = min(wait, b.soonest.Sub(now))
		}
	}
	return nil, wait
}

// waits reports whether a refresh at host waits.
func (s *schedule) waits(host int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.backlogs[host].len > 0
}

// release takes out the entry that is to be refreshed next at host; see [hostBacklog.release].
func (s *schedule) release(host int, room func(owner any) bool, unpaced, short bool, now clock.Instant) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.backlogs[host].release(room, unpaced, short, now)
}

// needs returns how many refreshes a second the backlog of host takes; see [hostBacklog.needs].
func (s *schedule) needs(host int, now clock.Instant) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.backlogs[host].needs(now)
}

// entryHeap is entries by when they are due, earliest first. A credential costs one
// slot of 16 bytes, not a goroutine or a timer. Each slot has four below it: half as many
// levels as with two, and the four share a cache line.
type entryHeap struct {
	slots  []slot
	number int32 // see heapNumber
}

// slot is an entry and when it is due.
type slot struct {
	due clock.Instant
	en  *entry
}

// add puts in x, which stands nowhere.
func (h *entryHeap) add(x slot) {
	h.slots = append(h.slots, slot{})
	h.up(len(h.slots)-1, x)
}

// first takes out the earliest; there is one.
func (h *entryHeap) first() *entry {
	en := h.slots[0].en
	h.remove(0)
	return en
}

// firstOf is first, of a heap that is filled by bursts: it lets go of its array with the last of
// one.
func (h *entryHeap) firstOf() *entry {
	en := h.first()
	if len(h.slots) == 0 {
		h.slots = nil
	}
	return en
}

// leads reports whether en is the earliest.
func (h *entryHeap) leads(en *entry) bool { return len(h.slots) > 0 && h.slots[0].en == en }

// sample adds one in every of those that stand here to d, but for the first skip; it returns how
// many of the next heap are to be skipped.
func (h *entryHeap) sample(d *demand, now clock.Instant, every, skip int) int {
	i := skip
	for ; i < len(h.slots); i += every {
		switch x := h.slots[i]; {
		case x.due < behind:
			d.add(x.due.Sub(now), every)
		case x.en.lately(now):
			d.add(0, every)
		}
	}
	return i - len(h.slots)
}

// remove takes out the slot at i.
func (h *entryHeap) remove(i int) {
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
func (h *entryHeap) put(i int, x slot) {
	h.slots[i] = x
	x.en.place = int32(i+1)*heapNumbers + h.number
}

// up puts x, for which there is a gap at i, there or above.
func (h *entryHeap) up(i int, x slot) {
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
func (h *entryHeap) down(i int, x slot) {
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
