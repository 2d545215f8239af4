package footprint

import (
	"cmp"
	"os"
	"runtime/debug"
	"sync"
)

// loadPercent is the minimum percentage while a configuration is loaded: the same as in a burst of
// refreshes. Loading makes nearly as much garbage as there is live data, whatever the number of
// accounts, so most reloads cost no collection. With the usual headroom of 8 MiB, the number
// of collections would grow with the accounts, and so would the cost of each.
const loadPercent = 100 * mostTimes

// standard is Go's default percentage.
const standard = 100

// setting is the garbage collector's percentage. The process has one.
type setting struct {
	mu      sync.Mutex
	decided int // by the policy; zero before its first decision
	loads   int // number of configurations being loaded
	inForce int // zero for Go's default
}

var gc setting

// decide sets percent, or loadPercent if that is more and a configuration is being loaded.
func (s *setting) decide(percent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.decided = percent
	s.settleLocked()
}

// Load raises the percentage while a configuration is loaded, until end is called.
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
	percent := cmp.Or(s.decided, standard)
	if s.loads > 0 {
		percent = max(percent, loadPercent)
	}
	if percent != cmp.Or(s.inForce, standard) { // setting it stops the world for a moment
		debug.SetGCPercent(percent)
		s.inForce = percent
	}
}

// operator reports whether the operator has set GOGC.
func operator() bool { return os.Getenv("GOGC") != "" }
