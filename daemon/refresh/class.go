package refresh

import (
	"sync"

	"tokend/daemon/clock"
	"tokend/daemon/policy"
)

// configClass is what an entry must know at all times of how its credential is configured. All
// customers of a platform share one.
type configClass struct {
	policy   *policy.Policy
	host     int    // as in Spec
	settings string // as in Spec
	target   string // as in Spec
	peers    Peers  // nil for none
}

// unconfirmed reports whether another host may have replaced the value long enough ago for it to be
// dead, and this host would not know.
func (c *configClass) unconfirmed(now clock.Instant) bool {
	return c.peers != nil && c.policy.Rotates && now.Sub(c.peers.Confirmed()) > overlap
}

// classes are those there are. Its zero value is ready, for a host without peers.
type classes struct {
	peers Peers
	mu    sync.Mutex
	all   map[configClass]*configClass
}

// of returns the class of spec, the same for all that are alike.
func (cs *classes) of(spec *Spec) *configClass {
	c := cs.make(spec)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if have := cs.all[c]; have != nil {
		return have
	}
	if cs.all == nil {
		cs.all = map[configClass]*configClass{}
	}
	made := c // c itself would be allocated for each entry
	cs.all[c] = &made
	return &made
}

// make returns what is to be known of spec.
func (cs *classes) make(spec *Spec) configClass {
	return configClass{spec.Policy, spec.Host, spec.Settings, spec.Target, cs.peers}
}

// keep returns the class of spec: was if spec has not changed. That saves an insertion for each
// account in a reload.
func (cs *classes) keep(was *configClass, spec *Spec) *configClass {
	if *was == cs.make(spec) {
		return was
	}
	return cs.of(spec)
}

// forget lets go of the classes of a configuration that is in force no more; entries keep theirs.
func (cs *classes) forget() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.all = nil
}
