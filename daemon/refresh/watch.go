package refresh

import (
	"strings"
	"sync"
)

// backlog is how many events a watcher may be behind before it is closed: enough for
// a burst in which every credential of a large site changes at a start, in 40 kB. Where there are
// many more, the list that a watch begins with takes its time, and more happens meanwhile:
// one event for each backlogShare of them, 2.5 MB with a million.
const (
	backlog      = 1024
	backlogShare = 16
)

// Watch is a subscription to the changes under a prefix.
type Watch struct {
	of     *watchers
	prefix string
	events chan Listing
}

// Events returns the channel of changes. It is closed by Close, when the watcher
// is too slow for what happens, and when the engine stops.
func (w *Watch) Events() <-chan Listing { return w.events }

// Close ends the subscription. It may be called more than once.
func (w *Watch) Close() { w.of.drop(w) }

// watchers is everybody who watches. Its zero value is ready.
type watchers struct {
	mu     sync.Mutex
	all    map[*Watch]struct{}
	closed bool
}

// add subscribes to what is under prefix, of about n credentials that there are.
func (ws *watchers) add(prefix string, n int) *Watch {
	w := &Watch{of: ws, prefix: prefix, events: make(chan Listing, max(backlog, n/backlogShare))}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.closed {
		close(w.events)
		return w
	}
	if ws.all == nil {
		ws.all = map[*Watch]struct{}{}
	}
	ws.all[w] = struct{}{}
	return w
}

func (ws *watchers) drop(w *Watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.dropLocked(w)
}

func (ws *watchers) dropLocked(w *Watch) {
	if _, ok := ws.all[w]; ok {
		delete(ws.all, w)
		close(w.events)
	}
}

// tell sends l to whoever watches its name, and closes who cannot take it: a slow
// watcher that lost an event would believe in a dead value.
func (ws *watchers) tell(l Listing) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.all {
		if !strings.HasPrefix(l.Name, w.prefix) {
			continue
		}
		select {
		case w.events <- l:
		default:
			ws.dropLocked(w)
		}
	}
}

// close ends every subscription and refuses new ones.
func (ws *watchers) close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.closed = true
	for w := range ws.all {
		ws.dropLocked(w)
	}
}
