package server

import "sync"

// conns are the connections of one listener. The zero value is ready.
type conns struct {
	mu       sync.Mutex
	all      map[*conn]struct{}
	stopping bool
}

// add takes c in. One that comes when the others have been woken is woken too.
func (cs *conns) add(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.all == nil {
		cs.all = make(map[*conn]struct{})
	}
	cs.all[c] = struct{}{}
	if cs.stopping {
		c.wake()
	}
}

func (cs *conns) remove(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.all, c)
}

// stop wakes every connection, and every one that is still to be added.
func (cs *conns) stop() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.stopping = true
	for c := range cs.all {
		c.wake()
	}
}

// cut closes what is left and returns how many that were.
func (cs *conns) cut() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for c := range cs.all {
		if nc, ok := c.nc.(interface{ Abort() }); ok {
			nc.Abort() // whoever owns it closes it: the number of its descriptor may be another's by now
			continue
		}
		_ = c.nc.Close()
	}
	return len(cs.all)
}
