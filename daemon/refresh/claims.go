package refresh

import (
	"sync"

	"tokend/daemon/record"
)

// claims is the claims of all hosts, as far as this host knows them, and the flights that wait for
// another host. Nothing is decided by it: a claim is obtained from the peers. The zero value is
// ready.
type claims struct {
	mu      sync.Mutex
	known   map[string]record.Claim // by the name of what is claimed
	waiting map[string]*claimWait
}

// claimWait is the flights that wait while another host is calling.
type claimWait struct {
	host    string
	flights int
	changed chan struct{} // closed when there is news of the claim or of the value
}

// note notes a claim, or with a zero State that name is claimed no more.
func (cs *claims) note(name string, c record.Claim) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	switch {
	case c.State == 0:
		delete(cs.known, name)
	case cs.known == nil:
		cs.known = map[string]record.Claim{name: c}
	default:
		cs.known[name] = c
	}
	cs.wakeLocked(name)
}

// wake wakes the flights that wait for name: there is news of it.
func (cs *claims) wake(name string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.wakeLocked(name)
}

func (cs *claims) wakeLocked(name string) {
	if w := cs.waiting[name]; w != nil {
		close(w.changed)
		w.changed = make(chan struct{})
	}
}

// of returns the claim of name; its State is zero if there is none.
func (cs *claims) of(name string) record.Claim {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.known[name]
}

// doubtful reports whether the last call for name may have replaced the value, and had no answer.
func (cs *claims) doubtful(name string) bool { return cs.of(name).State == record.Doubtful }

// doubts returns the claims that are in doubt, by name.
func (cs *claims) doubts() map[string]record.Claim {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	all := map[string]record.Claim{}
	for name, c := range cs.known {
		if c.State == record.Doubtful {
			all[name] = c
		}
	}
	return all
}

// await returns what is closed when there is news of name, which host is fetching. Its caller calls
// leave when it waits no more.
func (cs *claims) await(name, host string) (changed <-chan struct{}) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	w := cs.waiting[name]
	if w == nil {
		if cs.waiting == nil {
			cs.waiting = map[string]*claimWait{}
		}
		w = &claimWait{changed: make(chan struct{})}
		cs.waiting[name] = w
	}
	w.host = host
	w.flights++
	return w.changed
}

// leave ends the wait of a flight.
func (cs *claims) leave(name string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if w := cs.waiting[name]; w.flights == 1 {
		delete(cs.waiting, name)
	} else {
		w.flights--
	}
}

// awaited returns the host that a flight for name waits for; "" for none.
func (cs *claims) awaited(name string) string {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if w := cs.waiting[name]; w != nil {
		return w.host
	}
	return ""
}
