package simulation

import (
	"time"
)

// do does what e says. What lasts ends after its time, and with the round.
func (w *world) do(e event) {
	h := w.hosts[e.actor()]
	w.mu.Lock()
	w.counts.faults++
	w.mu.Unlock()
	if e.step == noStep {
		switch e.verb {
		case rejects, rejectsAll, refreshes, authorizes, exchanges, leaves:
		default:
			w.note(nil, "%s", e)
		}
	} else {
		w.note(nil, "%s", e)
	}
	switch e.verb {
	case pushesOld:
		w.ops.Go(func() { w.pushOld(h, e.d) })
	case rejects, rejectsAll, refreshes, authorizes, exchanges, leaves:
		if e.step == noStep {
			w.act(e)
		} else {
			e.host = e.actor()
			w.later(e.d, func() { w.act(e) })
		}
	case pauses:
		h.freeze(e.d)
	case crashes, dies, reboots, rewinds:
		if e.verb == dies && w.wasEmptied() {
			e.verb = crashes // the host would begin another cluster
		}
		h.crash(e.verb != dies, e.verb == reboots)
		switch e.verb {
		case dies:
			h.loseDisk()
		case reboots:
			h.reboot()
		case rewinds:
			h.rewind(time.Duration(e.n % uint64(maxRewind)))
		}
		w.later(e.d, h.start)
	case stops:
		w.ops.Go(func() {
			h.shut()
			w.later(e.d, h.start)
		})
	case cutEtcd:
		h.cuts(e.d, fromEtcd)
	case cutWeChat:
		h.cuts(e.d, fromWeChat)
	case cutBoth:
		h.cuts(e.d, fromEtcd, fromWeChat)
	case badTxns, badCalls, losesLease, refusesRead:
		h.weaken(e.verb, e.d)
	case mutesWatch, breaksWatch, lagsWatch:
		h.disturb(e)
	case expires:
		if p := h.current(); p != nil {
			p.unclaim()
		}
		w.etcd.Expire(prefix + "/m/" + h.name)
	case stepsClock:
		h.mu.Lock()
		h.wall += time.Duration(e.n%uint64(4*time.Hour)) - 2*time.Hour
		h.mu.Unlock()
	case reloads:
		if p := h.current(); p != nil {
			p.reload()
		}
	case restores, empties:
		if e.step == noStep || e.d == 0 {
			w.restore(e)
		} else {
			w.later(e.d, func() { w.restore(e) })
		}
	default:
		w.doToEtcd(e)
	}
}

// doToEtcd does what concerns etcd as a whole.
func (w *world) doToEtcd(e event) {
	switch e.verb {
	case compacts:
		_ = w.etcd.Compact(w.etcd.Revision() - int64(e.n%60)) // an older one than the last is refused
	case backsUp:
		b := w.etcd.Backup()
		w.mu.Lock()
		w.backup = b
		w.mu.Unlock()
	case freezes:
		w.mu.Lock()
		again := w.frozen
		w.frozen = true
		w.mu.Unlock()
		if again {
			return // without a quorum no host is healthy
		}
		endpoint := w.etcd.Endpoints()[e.n%3]
		w.etcd.Freeze(endpoint)
		w.later(e.d, w.thaw)
	case losesQuorum:
		w.loseQuorum(e)
	default:
		panic("no such event: " + e.String())
	}
}

// restore restores etcd from the backup, or from none.
func (w *world) restore(e event) {
	w.mu.Lock()
	b := w.backup
	if e.verb == empties {
		b = w.nothing
	}
	if w.rewound > 0 {
		b = nil // hosts put back what was issued last, by their clocks
	}
	w.restored = w.restored || b != nil
	if b != nil && b == w.nothing {
		w.emptied = true
		w.backup = nil // its revisions are higher, so hosts take what it has for newer for up to 10 s
	}
	w.mu.Unlock()
	if b == nil {
		return
	}
	for _, h := range w.hosts {
		if p := h.current(); p != nil {
			p.unclaim()
			p.unclaimAll() // revisions that hosts have seen occur again
		}
	}
	w.etcd.Restore(b, e.n%2 == 0)
}

// wasEmptied reports whether etcd has lost all that it had.
func (w *world) wasEmptied() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.emptied
}

// wasRestored reports whether etcd was restored. Hosts then write to their disks with a mutex
// locked, and while a goroutine waits for that mutex, virtual time does not pass. So the write does
// not wait for the end of a pause.
func (w *world) wasRestored() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.restored
}

// maxOutage is how long etcd has no quorum, at most, and maxRewind by how much a clock steps back.
// While etcd has no quorum, no host is healthy. So etcd loses its quorum once at most, for less
// than the overlap.
const (
	maxOutage = 90 * time.Second
	maxRewind = 2 * time.Minute
)

// loseQuorum stops or freezes two members of etcd.
func (w *world) loseQuorum(e event) {
	w.mu.Lock()
	again := w.frozen || !w.outage.IsZero()
	if !again {
		w.frozen, w.outage = true, time.Now()
	}
	w.mu.Unlock()
	if again {
		return
	}
	for _, h := range w.hosts {
		h.silenced()
	}
	if e.n%2 == 0 {
		w.etcd.StopQuorum()
	} else {
		for _, endpoint := range w.etcd.Endpoints()[1:] {
			w.etcd.Freeze(endpoint)
		}
	}
	w.later(min(e.d, maxOutage), w.thaw)
}

// isOut reports whether etcd may have no quorum.
func (w *world) isOut() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.outage.IsZero() && time.Since(w.outage) < maxOutage
}

// thaw starts all members of etcd.
func (w *world) thaw() {
	w.etcd.StartQuorum()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frozen, w.eased = false, time.Now()
}

// ease notes that a fault between etcd and a host has ended.
func (w *world) ease() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.eased = time.Now()
}

func (h *host) loseDisk() {
	h.world.mu.Lock()
	h.world.diskLost = true
	h.world.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.disk = newDisk()
}

// cuts cuts h off for d.
func (h *host) cuts(d time.Duration, from ...side) {
	change := func(n int) {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, s := range from {
			h.cut[s] += n
		}
		h.applyLocked()
	}
	h.silenced()
	change(1)
	h.world.later(d, func() {
		change(-1)
		h.world.ease()
	})
}

// weaken makes transactions or calls of h fail at random for d.
func (h *host) weaken(v verb, d time.Duration) {
	change := func(n int) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.weak[v] += n
	}
	change(1)
	h.world.later(d, func() {
		change(-1)
		h.world.ease()
	})
}

// disturb disturbs the watch of the process that runs now.
func (h *host) disturb(e event) {
	p := h.current()
	if p == nil {
		return
	}
	switch e.verb {
	case mutesWatch:
		p.client.MuteWatches()
		h.world.later(e.d, func() {
			if !p.isDead() {
				p.client.UnmuteWatches()
			}
		})
	case breaksWatch:
		p.client.BreakWatches()
	case lagsWatch:
		p.client.Lag(time.Duration(e.n % uint64(15*time.Second)))
		h.world.later(e.d, func() { p.client.Lag(0) })
	}
}

// heal ends the round: all faults end, and all hosts run.
func (w *world) heal() {
	w.mu.Lock()
	w.rounds++
	w.armed = nil
	w.mu.Unlock()
	w.note(nil, "all faults end")
	w.thaw()
	for _, h := range w.hosts {
		h.resume(true)
		h.mu.Lock()
		clear(h.cut)
		clear(h.weak)
		h.applyLocked()
		if p := h.proc; p != nil {
			p.client.UnmuteWatches()
			p.client.Lag(0)
		}
		down := h.proc == nil
		h.mu.Unlock()
		if down {
			h.start()
		}
	}
}
