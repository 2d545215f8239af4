package refresh

import (
	"sync"
	"time"

	"tokend/daemon/clock"
)

// hangsAfter is how long a call runs until it hangs, if others are answered sooner: many times
// WeChat's usual latency.
const hangsAfter = 5 * time.Second

// hanging is the owners at a host whose last call hung while the host answered others. Together
// they have no more places than one owner, so that they leave places to those that are answered,
// however many they are. The zero value is ready, and nil has no owner.
type hanging struct {
	mu       sync.Mutex // guards what follows
	owners   map[any]struct{}
	inFlight map[any]lastCall
	answered clock.Instant // when a call that did not hang ended, last
}

// lastCall is the last call of an owner with so many in flight.
type lastCall struct {
	began clock.Instant
	calls int
}

// has reports whether the last call of owner hung.
func (s *hanging) has(owner any) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.owners[owner]
	return ok
}

// some reports whether there are such owners.
func (s *hanging) some() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.owners) > 0
}

// look finds the owners whose calls in flight hang.
func (s *hanging) look(now clock.Instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for owner, last := range s.inFlight {
		s.lookLocked(owner, last.began, now)
	}
}

func (s *hanging) lookLocked(owner any, began, now clock.Instant) {
	if now.Sub(began) < hangsAfter || s.answered <= began {
		return // it is early, or the host hangs
	}
	if s.owners == nil {
		s.owners = map[any]struct{}{}
	}
	s.owners[owner] = struct{}{}
}

// begin notes that a call of owner begins.
func (s *hanging) begin(owner any, now clock.Instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inFlight == nil {
		s.inFlight = map[any]lastCall{}
	}
	s.inFlight[owner] = lastCall{now, s.inFlight[owner].calls + 1}
}

// end notes that a call of owner has ended, which began at an instant.
func (s *hanging) end(owner any, began, now clock.Instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.inFlight[owner]
	if last.calls--; last.calls > 0 {
		s.inFlight[owner] = last
	} else {
		delete(s.inFlight, owner)
	}
	if now.Sub(began) >= hangsAfter {
		s.lookLocked(owner, began, now)
		return
	}
	delete(s.owners, owner)
	s.answered = now
}
