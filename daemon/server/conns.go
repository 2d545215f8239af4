package server

import "sync"

// conns are the connections of one listener. The zero value is ready.
type conns struct {
	mu       sync.Mutex
	all      map[*conn]struct{}
	stopping bool
}

// add adds c. After stop, it wakes c.
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

// stop wakes every connection, also those that are added later.
func (cs *conns) stop() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.stopping = true
	for c := range cs.all {
		c.wake()
	}
}

// cut closes the connections that are left and returns how many there were.
func (cs *conns) cut() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for c := range cs.all {
		if nc, ok := c.nc.(interface{ Abort() }); ok {
			nc.Abort() // its owner closes it: its descriptor may be another connection's by now
			continue
		}
		_ = c.nc.Close()
	}
	return len(cs.all)
}
