package footprint

import (
	"os"
	"runtime/debug"
	"sync"
)

// loadPercent is for how many percent of live garbage may gather while a configuration is loaded:
// as much as in a burst of refreshes. To load accounts makes 1.6 times as much garbage as lives, at
// any number of them, so one reload costs one collection at most. In the room of a calm daemon, 8
// MiB, the number of collections would grow with the accounts, as each one's cost does.
const loadPercent = 100 * mostTimes

// setting is for how many percent of live garbage may gather. The process has one.
type setting struct {
	mu      sync.Mutex
	decided int // by the policy; zero before its first decision
	loads   int // configurations that are being loaded
	inForce int // zero for Go's own
}

var gc setting

// decide puts percent in force; at least loadPercent, while a configuration is being loaded.
func (s *setting) decide(percent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.decided = percent
	s.settleLocked()
}

// Load makes room for the garbage of a configuration that is being loaded, until end is called.
func Load() (end func()) {
	if operator() {
		return func() {}
	}
	gc.add(1)
	return func() { gc.add(-1) }
}

func (s *setting) add(loads int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads += loads
	s.settleLocked()
}

func (s *setting) settleLocked() {
	percent := s.decided
	if s.loads > 0 {
		percent = max(percent, loadPercent)
	}
	if percent != 0 && percent != s.inForce { // to set it stops the world for a moment
		debug.SetGCPercent(percent)
		s.inForce = percent
	}
}

// operator reports whether an operator has decided.
func operator() bool { return os.Getenv("GOGC") != "" }
