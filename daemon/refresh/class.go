package refresh

import "sync"

// class is what an entry must know at all times of how its credential is configured. All customers
// of a platform share one.
type class struct {
	kind     Kind
	settings string // as in Spec
	target   string // as in Spec
}

// classes are those there are. Its zero value is ready.
type classes struct {
	mu  sync.Mutex
	all map[class]*class
}

// of returns the class of spec, the same for all that are alike.
func (cs *classes) of(spec *Spec) *class {
	c := class{spec.Kind, spec.Settings, spec.Target}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if have := cs.all[c]; have != nil {
		return have
	}
	if cs.all == nil {
		cs.all = map[class]*class{}
	}
	cs.all[c] = &c
	return &c
}

// forget lets go of the classes of a configuration that is in force no more; entries keep theirs.
func (cs *classes) forget() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.all = nil
}
