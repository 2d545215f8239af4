package refresh

import (
	"context"
	"errors"
	"sync"
	"time"

	"tokend/daemon/clock"
	"tokend/fetchers"
)

// hangsAfter is how long a call runs until it hangs, if others are answered sooner: many times
// WeChat's usual latency.
const hangsAfter = 5 * time.Second

// hanging is the owners at a host whose calls hang while the host answers others. Together they
// have no more places than one owner. So they leave places to those that are answered, however many
// they are. The zero value is ready, and nil has no owner.
type hanging struct {
	mu       sync.Mutex // guards what follows
	owners   map[any]struct{}
	inFlight map[any]ownerCalls
	answered clock.Instant // when a call was answered in time, last
}

// ownerCalls is the calls of an owner that are in flight.
type ownerCalls struct {
	n        int
	began    clock.Instant // the last of them
	answered clock.Instant // when one was answered in time while others were in flight, last
}

// has reports whether the calls of owner hang.
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

// look finds the owners whose calls in flight hang, and reports whether there are new ones.
func (s *hanging) look(now clock.Instant) (found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.owners)
	for owner, calls := range s.inFlight {
		if now.Sub(calls.began) >= hangsAfter {
			s.hungLocked(owner, calls, calls.began)
		}
	}
	return len(s.owners) > before
}

// hungLocked notes that a call of owner hangs, which began at an instant, unless another one was
// answered since, or the host has answered nobody since.
func (s *hanging) hungLocked(owner any, calls ownerCalls, began clock.Instant) {
	if calls.answered > began || s.answered <= began {
		return
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
		s.inFlight = map[any]ownerCalls{}
	}
	calls := s.inFlight[owner]
	calls.n++
	calls.began = now
	s.inFlight[owner] = calls
}

// end notes that a call of owner has ended with err, which began at an instant. A call whose time
// is over has hung, however short that time is. A call that has failed sooner tells nothing: it may
// not have been made.
func (s *hanging) end(owner any, began, now clock.Instant, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.inFlight[owner]
	_, refused := errors.AsType[*fetchers.APIError](err)
	switch hung := now.Sub(began) >= hangsAfter || errors.Is(err, context.DeadlineExceeded); {
	case hung:
		s.hungLocked(owner, calls, began)
	case err == nil || refused:
		delete(s.owners, owner)
		s.answered, calls.answered = now, now
	}
	if calls.n--; calls.n > 0 {
		s.inFlight[owner] = calls
	} else {
		delete(s.inFlight, owner)
	}
}

// forget forgets the owners, some of which may not be configured any more.
func (s *hanging) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.owners)
}
