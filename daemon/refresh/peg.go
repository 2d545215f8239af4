package refresh

import (
	"sync"
	"sync/atomic"
)

// Peg is a place at a credential where whoever serves it hangs what it keeps of it, so that it has
// it at hand with the value and needs no index of its own. What hangs there outlives the values,
// and a customer's credential that lapses and is asked for again; it goes with the account. The
// zero value is a free peg. Its methods may be called concurrently, and allocate nothing.
type Peg struct{ at atomic.Pointer[Hung] }

// Hung is what hangs on a peg.
type Hung interface {
	// Gone is called once, when the credential is known no more. Those who have got its peg before
	// may find it there still. It must not wait for anything, and may be called with locks held.
	Gone()
}

// Load returns what hangs on p; nil where nothing does.
func (p *Peg) Load() Hung {
	if h := p.at.Load(); h != nil {
		return *h
	}
	return nil
}

// Hang puts what h points to on p, for good, and reports whether p was free. A peg is not any more
// when its entry is out of service. A pointer, because Load is on the way of every read: where h
// points into what hangs there, nothing else is touched.
func (p *Peg) Hang(h *Hung) bool { return p.at.CompareAndSwap(nil, h) }

// noPeg hangs where nothing may any more.
var noPeg Hung = nobody{}

type nobody struct{}

func (nobody) Gone() {}

// unhooked has what hung at entries that are out of service, for those that are made of
// the same names later. Its zero value is ready.
type unhooked struct {
	mu     sync.Mutex
	byName map[string]*Hung
}

// hook hangs at en, which is new, what has hung at an entry of its name. It is called with en.mu
// held, when en is known to be in service: so a configuration that has no such name either finds
// en, or has let go already of what hung there.
func (u *unhooked) hook(en *entry) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if h := u.byName[en.name]; h != nil {
		en.peg.Hang(h) // and stays here, for the next
	}
}

// keep takes in what hangs at en, and sees to it that nothing is hung there that would be lost.
// What hangs there stays there too: whoever still holds on to en means the same credential. It is
// called once for an entry, with en.mu held.
func (u *unhooked) keep(en *entry) {
	if en.peg.Hang(&noPeg) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.byName == nil {
		u.byName = make(map[string]*Hung)
	}
	u.byName[en.name] = en.peg.at.Load()
}

// forget lets go of what belongs to names that are unknown.
func (u *unhooked) forget(unknown func(name string) bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for name, h := range u.byName {
		if unknown(name) {
			delete(u.byName, name)
			(*h).Gone()
		}
	}
}
