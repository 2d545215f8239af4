package refresh

import (
	"strings"
	"sync"
	"tokend/daemon/credential"
)

// All watchers read one list of events, each from its own place, so that waiting events take
// room once, however many are behind. Who is too far behind is closed.
//
// backlog is how far that is, in events: enough for a burst in which every credential of a large
// site changes at a start. Where there are many more, the list that a watch begins with takes its
// time, and more happens during it: one event for each backlogShare of them. That is 0.6 MB at the
// least, and 2.5 MB with a million.
const (
	backlog      = 16 << 10
	backlogShare = 16
)

// takeMost is how many events are looked at in one Take: a watcher of one name does not keep the
// lock for a whole backlog.
const takeMost = 1024

// piece is events in a row. Nobody but who has not taken them points to a piece, so those that all
// have taken are garbage.
type piece struct {
	events [64]credential.Listing
	n      int // events there are
	next   *piece
}

// Watch is a subscription to the changes under a prefix.
type Watch struct {
	of     *watchers
	prefix string
	most   int           // events that it may be behind
	ready  chan struct{} // a level trigger: there is something to take

	// Guarded by of's lock.
	at     *piece // where the next event is that it has not looked at, or will be; nil where it lost its place
	taken  int    // events of at that it has
	behind int    // events that it has not looked at
	closed bool
}

// Take returns the events since the last call, in order, and whether more may come. None come after
// Close, if the watcher was too slow, and when the engine stops. Of very much it returns a part;
// Ready receives again at once then.
func (w *Watch) Take() (events []credential.Listing, more bool) {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	for looked := 0; w.behind > 0 && looked < takeMost; looked++ {
		if l := w.nextLocked(); strings.HasPrefix(l.Name, w.prefix) {
			events = append(events, *l)
		}
	}
	if w.behind > 0 {
		w.wakeLocked()
	}
	return events, !w.closed || w.behind > 0
}

// nextLocked returns the next event that w has not looked at, which there is.
func (w *Watch) nextLocked() *credential.Listing {
	if w.taken == len(w.at.events) {
		w.at, w.taken = w.at.next, 0
	}
	l := &w.at.events[w.taken]
	w.taken++
	w.behind--
	return l
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
	last   *piece // of the events; nil where nobody has watched yet
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
		ws.all, ws.last = map[*Watch]struct{}{}, new(piece)
	}
	w.at, w.taken = ws.last, ws.last.n
	ws.all[w] = struct{}{}
	return w
}

// drop ends w, which forgets what it has not looked at: it would keep all that comes after it.
func (ws *watchers) drop(w *Watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.dropLocked(w)
	w.at, w.behind = nil, 0
}

func (ws *watchers) dropLocked(w *Watch) {
	if _, ok := ws.all[w]; ok {
		delete(ws.all, w)
		w.closed = true
		w.wakeLocked()
	}
}

// tell sends l to the watchers of its name, and closes those that cannot take it: a slow
// watcher that lost an event would believe in a dead value.
func (ws *watchers) tell(l credential.Listing) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.all) == 0 {
		return
	}
	if ws.last.n == len(ws.last.events) {
		ws.last.next = new(piece)
		ws.last = ws.last.next
	}
	ws.last.events[ws.last.n] = l
	ws.last.n++
	for w := range ws.all {
		switch concerned := strings.HasPrefix(l.Name, w.prefix); {
		case w.behind == w.most:
			ws.dropLocked(w)
			w.at, w.behind = nil, 0
		case concerned || w.behind > 0:
			w.behind++
			if concerned {
				w.wakeLocked()
			}
		default: // it has looked at all, and need not at this one
			w.at, w.taken = ws.last, ws.last.n
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
