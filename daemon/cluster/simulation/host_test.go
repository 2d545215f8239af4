package simulation

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tokend/daemon/store/memstore"
)

// host is a machine. It has a disk, and at most one process at a time.
type host struct {
	world *world
	i     int
	name  string
	odd   oddity

	mu     sync.Mutex
	disk   *memstore.Store
	boot   int           // counts the boots
	booted time.Time     // of this boot
	wall   time.Duration // how far the wall clock is ahead
	proc   *process      // nil while the host is down
	down   bool          // until an event starts it again
	pause  chan struct{} // closed when the pause ends; nil without one
	until  time.Time     // of the pause
	cut    map[side]int  // how many events cut the host off
	weak   map[verb]int  // how many events make transactions or calls fail

	rolls  atomic.Uint64
	paused atomic.Int64 // counts the pauses

	lateLost atomic.Int64 // when the answer to a late call was lost last, in Unix nanoseconds
}

// side is what a host is cut off from.
type side uint8

const (
	fromEtcd side = iota
	fromWeChat
)

func newHost(w *world, i int) *host {
	h := &host{world: w, i: i, name: fmt.Sprint("host", i), disk: new(memstore.Store), cut: map[side]int{}, weak: map[verb]int{}}
	if w.plan.oddHost == i {
		h.odd = w.plan.odd
	}
	h.reboot()
	return h
}

// reboot gives h another boot, whose clock shows anything.
func (h *host) reboot() {
	h.boot++
	h.booted = h.world.began.Add(-time.Duration(h.roll() % uint64(1000*time.Hour)))
	if h.world.plan.skewed {
		h.wall = time.Duration(h.roll()%uint64(4*time.Hour)) - 2*time.Hour
	}
}

// rewind makes the clock of this boot step back, as that of a machine that is resumed from a
// snapshot.
func (h *host) rewind(d time.Duration) {
	h.world.mu.Lock()
	defer h.world.mu.Unlock()
	if !h.world.restored {
		h.booted = h.booted.Add(d)
		h.world.rewound += d
	}
}

// bootID returns the boot as records contain it.
func (h *host) bootID() string {
	if h.world.plan.oneBoot {
		return fmt.Sprintf("boot-%d@%s", h.boot, h.name)
	}
	return fmt.Sprintf("boot-%d-%d@%s", h.i, h.boot, h.name)
}

// roll returns a number that depends on the seed, the host and how often it was called.
func (h *host) roll() uint64 { return mix(h.world.plan.seed, uint64(h.i)+1, h.rolls.Add(1)) }

// mix returns a hash.
func mix(parts ...uint64) (x uint64) {
	for _, p := range parts {
		x = (x ^ p) + 0x9e3779b97f4a7c15
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		x ^= x >> 31
	}
	return x
}

// latency returns a duration of least to most milliseconds, which hardly any other event has too.
func (h *host) latency(least, most int) time.Duration {
	low, high := time.Duration(least)*time.Millisecond, time.Duration(most)*time.Millisecond
	return low + time.Duration(h.roll()%uint64(high-low))
}

// isCut reports whether h is cut off.
func (h *host) isCut(from side) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cut[from] > 0
}

// fails reports whether an event makes something fail.
func (h *host) fails(v verb) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.weak[v] > 0
}

// chance reports whether something fails, of what a verb makes fail at random.
func (h *host) chance(v verb) bool { return h.fails(v) && h.roll()%10 < 4 }

// isPaused reports whether h is paused.
func (h *host) isPaused() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pause != nil
}

// current returns the process of h that runs, nil if there is none.
func (h *host) current() *process {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.proc
}

// start starts a process. It is ready later.
func (h *host) start() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.proc != nil {
		return
	}
	h.down = false
	w := h.world
	p := &process{host: h, disk: h.disk, timeout: configured(h.odd).Upstream.Timeout, ended: make(chan struct{}), calls: map[*call]bool{}, air: map[string]int{}, unwritten: map[string]string{}, void: map[string]time.Time{}}
	w.mu.Lock()
	w.counts.processes++
	p.n = w.counts.processes
	w.mu.Unlock()
	p.client = w.etcd.Client(fmt.Sprintf("%s, process %d", h.name, p.n))
	p.client.Faults(p.choose)
	h.proc = p
	ctx, kill := context.WithCancel(context.Background())
	engineCtx, stop := context.WithCancel(ctx)
	p.kill, p.stop = kill, stop
	h.applyLocked()
	w.note(h, "starts")
	w.ops.Go(func() {
		defer close(p.ended)
		p.run(ctx, engineCtx)
		if p.isDead() {
			p.forgets()
		}
	})
	w.ops.Go(func() { p.clients(engineCtx) })
}

// applyLocked makes the connection to etcd as h is now. h.mu is held.
func (h *host) applyLocked() {
	p := h.proc
	if p == nil {
		return
	}
	if h.pause != nil {
		p.client.Freeze()
	} else {
		p.client.Thaw()
	}
	if h.cut[fromEtcd] > 0 {
		p.client.Cut()
	} else {
		p.client.Heal()
	}
}

// crash ends the process: nothing that it does from now on has an effect. disk reports whether the
// host keeps its disk, power whether the power is cut. Else what was written without a sync stays.
func (h *host) crash(disk, power bool) {
	h.mu.Lock()
	p := h.proc
	h.proc, h.down = nil, true
	if p == nil {
		h.mu.Unlock()
		return
	}
	p.dead.Store(true)
	p.client.MuteWatches()
	p.client.Thaw() // its requests on the way still arrive
	if power {
		p.disk.CutPower()
	}
	h.mu.Unlock()
	h.resume(true)
	if p.ground(); p.losesLate(disk) {
		h.world.meetsResidual()
	}
	p.kill()
}

// losesLateAnswer notes that a late call of h has no answer. If h cannot tell its peers before the
// overlap ends, that is like its death.
func (h *host) losesLateAnswer() {
	h.lateLost.Store(time.Now().UnixNano())
	if h.isCut(fromEtcd) || h.isPaused() || h.world.isOut() {
		h.world.meetsResidual()
	}
}

// silenced notes that h is about to be cut off from etcd or paused, or etcd to lose its quorum.
func (h *host) silenced() {
	since := time.Since(time.Unix(0, h.lateLost.Load()))
	if since < untold || since < overlap && h.current().owes() {
		h.world.meetsResidual()
	}
}

// meetsResidual notes that the residual risk was met: see forgive.
func (w *world) meetsResidual() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.residual = true
}

// losesLate reports whether a late call of p is lost with it, or with its disk.
func (p *process) losesLate(disk bool) bool {
	t := p.host.world.truth
	t.mu.Lock()
	defer t.mu.Unlock()
	return p.late > 0 || !disk && !p.wasLate.IsZero() && (time.Since(p.wasLate) < untold || p.owes())
}

// untold is how long after a call nothing of it may be in an offer.
const untold = 10 * time.Second

// owes reports whether p may have what it has not told its peers.
func (p *process) owes() bool {
	if p == nil {
		return true
	}
	peers := p.peers.Load()
	return peers == nil || peers.Stats().Offers > 0
}

// shut stops the process, and returns when it has ended.
func (h *host) shut() {
	h.mu.Lock()
	p := h.proc
	h.down = true
	h.mu.Unlock()
	if p == nil {
		return
	}
	p.stop()
	<-p.ended
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.proc == p {
		h.proc = nil
	}
}

// freeze pauses h as SIGSTOP does, until d from now at least: nothing that it sends leaves it, and
// nothing arrives.
func (h *host) freeze(d time.Duration) {
	h.silenced()
	h.mu.Lock()
	if end := time.Now().Add(d); end.After(h.until) {
		h.until = end
	}
	if h.pause == nil {
		h.pause = make(chan struct{})
		h.paused.Add(1)
	}
	h.applyLocked()
	p := h.proc
	h.mu.Unlock()
	if p != nil {
		p.ground()
	}
	time.AfterFunc(d, func() { h.resume(false) })
}

// resume ends a pause if its time is over, or at once.
func (h *host) resume(now bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pause == nil || !now && time.Now().Before(h.until) {
		return
	}
	close(h.pause)
	h.pause, h.until = nil, time.Time{}
	h.applyLocked()
	h.world.note(h, "resumes")
}
