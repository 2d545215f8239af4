package refresh

import (
	"sync"
	"time"

	"tokend/daemon/clock"
)

// longestNap bounds how long the schedule sleeps, because Go's timers stand still while
// the host is suspended: after a resume what is due is noticed this soon.
const longestNap = 10 * time.Second

// schedule is the heap of all that is due, earliest first. A credential costs one
// slot of 16 bytes, not a goroutine or a timer. Each slot has four below it: half as many
// levels as with two, and the four lie in one cache line.
type schedule struct {
	mu   sync.Mutex
	heap []slot
	// kick is a level trigger: the earliest due time may have changed.
	kick chan struct{}
}

// slot is an entry and when it is due.
type slot struct {
	due clock.Instant
	en  *entry
}

func newSchedule() *schedule {
	return &schedule{kick: make(chan struct{}, 1)}
}

// grow makes room for n entries more.
func (s *schedule) grow(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heap = append(make([]slot, 0, len(s.heap)+n), s.heap...)
}

// set makes en due at the instant at; never takes it out.
func (s *schedule) set(en *entry, at clock.Instant) {
	s.mu.Lock()
	first := false
	if i := int(en.place) - 1; i >= 0 {
		s.removeLocked(i)
		first = i == 0 && at != never
	}
	if at != never {
		s.heap = append(s.heap, slot{})
		s.up(len(s.heap)-1, slot{at, en})
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

// next takes out an entry that is due at now. With none it returns how long it is
// until the first is, longestNap at most.
func (s *schedule) next(now clock.Instant) (*entry, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.heap) == 0 {
		return nil, longestNap
	}
	if wait := s.heap[0].due.Sub(now); wait > 0 {
		return nil, min(wait, longestNap)
	}
	en := s.heap[0].en
	s.removeLocked(0)
	return en, 0
}

// removeLocked takes out what stands at i.
func (s *schedule) removeLocked(i int) {
	s.heap[i].en.place = 0
	n := len(s.heap) - 1
	last := s.heap[n]
	s.heap[n] = slot{}
	s.heap = s.heap[:n]
	if i == n {
		return
	}
	if i > 0 && last.due < s.heap[(i-1)/4].due {
		s.up(i, last)
	} else {
		s.down(i, last)
	}
}

// put puts x at i.
func (s *schedule) put(i int, x slot) {
	s.heap[i] = x
	x.en.place = int32(i + 1)
}

// up puts x, for which there is a gap at i, there or above.
func (s *schedule) up(i int, x slot) {
	for i > 0 {
		parent := (i - 1) / 4
		if s.heap[parent].due <= x.due {
			break
		}
		s.put(i, s.heap[parent])
		i = parent
	}
	s.put(i, x)
}

// down puts x, for which there is a gap at i, there or below.
func (s *schedule) down(i int, x slot) {
	for {
		least := 4*i + 1
		if least >= len(s.heap) {
			break
		}
		for c := least + 1; c < min(4*i+5, len(s.heap)); c++ {
			if s.heap[c].due < s.heap[least].due {
				least = c
			}
		}
		if x.due <= s.heap[least].due {
			break
		}
		s.put(i, s.heap[least])
		i = least
	}
	s.put(i, x)
}
