package refresh

import (
	"strings"
	"sync"
)

// backlog is how many events a watcher may be behind before it is closed: enough for
// a burst in which every credential of a large site changes at a start, in 40 kB. Where there are
// many more, the list that a watch begins with takes its time, and more happens meanwhile:
// one event for each backlogShare of them, 2.5 MB with a million. They take room only while they wait.
const (
	backlog      = 1024
	backlogShare = 16
)

// Watch is a subscription to the changes under a prefix.
type Watch struct {
	of     *watchers
	prefix string
	most   int           // events that may wait
	ready  chan struct{} // a level trigger: there is something to take

	// Guarded by of's lock.
	events []Listing // that wait
	closed bool
}

// Take returns what has happened since the last one, in order, and whether more may come: not after Close,
// when the watcher was too slow for what happens, and when the engine stops.
func (w *Watch) Take() (events []Listing, more bool) {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	events, w.events = w.events, nil
	return events, !w.closed
}

// Ready receives when there is something to take, or no more will come.
func (w *Watch) Ready() <-chan struct{} { return w.ready }

// Close ends the subscription. It may be called more than once.
func (w *Watch) Close() { w.of.drop(w) }

func (w *Watch) wakeLocked() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// watchers is everybody who watches. Its zero value is ready.
type watchers struct {
	mu     sync.Mutex
	all    map[*Watch]struct{}
	closed bool
}

// add subscribes to what is under prefix, of about n credentials that there are.
func (ws *watchers) add(prefix string, n int) *Watch {
	w := &Watch{of: ws, prefix: prefix, most: max(backlog, n/backlogShare), ready: make(chan struct{}, 1)}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.closed {
		w.closed = true
		w.wakeLocked()
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
		w.closed = true
		w.wakeLocked()
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
		if len(w.events) == w.most {
			ws.dropLocked(w)
			continue
		}
		w.events = append(w.events, l)
		w.wakeLocked()
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
