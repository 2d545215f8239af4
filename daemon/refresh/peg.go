package refresh

import (
	"sync"
)

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
	u.byName[en.name] = en.peg.Hung()
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
