package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/cluster/seal"
)

const (
	// beatEvery is how often a host writes its heartbeat.
	beatEvery = 10 * time.Second

	// answerPause is at least between two heartbeats. A peer that is new is answered within 1 s.
	answerPause = 500 * time.Millisecond

	// noSession is how soon a host looks again for its session, and beatRetry how soon it repeats a
	// heartbeat without an answer.
	noSession = 200 * time.Millisecond
	beatRetry = time.Second

	// echoTimeout is how long a heartbeat may take from etcd's answer until the watch returns it.
	echoTimeout = 5 * time.Second
)

// heartbeat is what a host states every 10 s. It is stored as JSON, sealed, and deleted with the
// host's session.
type heartbeat struct {
	Run     string        `json:"run"` // identifies the process
	Boot    string        `json:"boot"`
	Instant clock.Instant `json:"instant"` // when the heartbeat was sent
	Wall    int64         `json:"wall"`    // the same, in nanoseconds since 1970

	// Seen are the last heartbeats that have reached the host, by boot. Met bounds the host's clock
	// minus that of each boot it has met, whether it is alive or not.
	Seen map[string]arrival `json:"seen,omitempty"`
	Met  map[string]bounds  `json:"met,omitempty"`

	// Restores is how many restores of etcd the process has noticed by itself.
	Restores int64 `json:"restores,omitempty"`

	// Counts are figures of the host since its start, for display.
	Counts map[string]int64 `json:"counts,omitempty"`
}

// heartbeatKey is the key of a host's heartbeat.
func heartbeatKey(prefix, host string) string { return prefix + "/n/" + host }

// heartbeatConfig is what [heartbeats] need.
type heartbeatConfig struct {
	prefix, host string
	sealer       *seal.Sealer
	sessions     *Sessions
	members      *members
	clocks       *clocks
	clock        *clock.Clock
	wall         func() time.Time
	link         *Link
	txn          func(ctx context.Context, t Txn) (Outcome, error)
	report       func(key string, err error)
	counts       func() map[string]int64 // of a heartbeat
	signs        *signs
	restores     func() int64     // of a heartbeat
	suspect      func(why string) // makes the mirror compare everything
}

// heartbeats write this host's heartbeat, and receive all. The methods may be called concurrently.
type heartbeats struct {
	heartbeatConfig
	key string
	id  string // of this process

	kick  chan struct{} // a level trigger: write one soon
	first chan struct{} // closed at the first contact

	epoch int64 // of the session of the last heartbeat; used by run alone

	confirmed atomic.Int64 // the instant of the last contact, zero if there was none

	mu       sync.Mutex
	peers    map[string]heartbeat // the last one of each other host that has one
	noticed  map[string]noticed   // by host, also of those that have no session now
	told     map[string]arrival   // what the last accepted heartbeat said about others, by boot
	watching time.Time            // since when the mirror watches; zero if it does not
	sent     clock.Instant        // of the heartbeat that is to come back
	overdue  time.Time            // when it is overdue; zero if none is awaited
}

func newHeartbeats(cfg heartbeatConfig) *heartbeats {
	return &heartbeats{
		heartbeatConfig: cfg,
		key:             heartbeatKey(cfg.prefix, cfg.host),
		id:              newNonce(),
		kick:            make(chan struct{}, 1),
		first:           make(chan struct{}),
		peers:           make(map[string]heartbeat),
		noticed:         make(map[string]noticed),
	}
}

// contact returns the last instant at which the mirror was known to be complete, or zero.
func (h *heartbeats) contact() clock.Instant { return clock.Instant(h.confirmed.Load()) }

// complete notes that the mirror has every change that etcd had at an instant.
func (h *heartbeats) complete(at clock.Instant) {
	at = max(at, 1) // zero is never
	last := h.contact()
	if at <= last && last <= h.clock.Now() {
		return
	}
	h.confirmed.Store(int64(at))
	if last == 0 {
		close(h.first)
	}
}

// soon makes run write a heartbeat within 1 s.
func (h *heartbeats) soon() {
	select {
	case h.kick <- struct{}{}:
	default:
	}
}

// run writes heartbeats until ctx is done. If a stored heartbeat does not come back by the watch,
// it moves the link: the endpoint's watches are silent.
func (h *heartbeats) run(ctx context.Context) error {
	last := time.Now().Add(-answerPause)
	next := last
	for ctx.Err() == nil {
		if !time.Now().Before(next) {
			last = time.Now()
			next = last.Add(h.write(ctx))
		}
		wait := time.Until(next)
		if left, awaited := h.awaits(); awaited {
			if left <= 0 {
				h.move()
				continue
			}
			wait = min(wait, left)
		}
		if wait <= 0 {
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-h.kick:
			if soon := last.Add(answerPause); soon.Before(next) {
				next = soon
			}
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// write writes one heartbeat and returns when the next one is due.
func (h *heartbeats) write(ctx context.Context) time.Duration {
	session, ok := h.sessions.Current()
	if !ok {
		return noSession
	}
	b := heartbeat{
		Run: h.id, Boot: h.clocks.own, Instant: h.clock.Now(), Wall: h.wall().UnixNano(),
		Seen: h.clocks.seen(), Met: h.clocks.met(), Restores: h.restores(), Counts: h.counts(),
	}
	text, err := json.Marshal(b)
	if err != nil {
		h.report(h.key, err)
		return beatEvery
	}
	t := Txn{
		If: []Compare{{Key: presenceKey(h.prefix, h.host), Field: Created, Value: session.Epoch}},
		Then: []Op{
			{Verb: Put, Key: h.key, Value: h.sealer.Seal(h.key, h.host, text), Lease: session.Lease},
			{Verb: Get, Key: h.key},
		},
	}
	last, at, wrote := h.signs.last()
	if wrote {
		t.Then = append(t.Then, Op{Verb: Get, Key: last})
	}
	o, err := h.txn(ctx, t)
	switch {
	case err == nil && o.Held:
		h.await(b)
		if h.signs.beat(o.Got[0]) {
			h.suspect(whyRestored)
		}
		if wrote {
			h.check(o.Got[1], at)
		}
		if h.epoch != 0 && h.epoch != session.Epoch {
			h.suspect(whyAway) // etcd may have been restored since the previous session
		}
		h.epoch = session.Epoch
		return beatEvery
	case err == nil:
		// A backup may have the lease without the presence key: this session could not claim, and
		// would last. The next one begins when the lease cannot be extended.
		_ = h.sessions.revoke(ctx, session.Lease)
	case Refused(err):
		return beatEvery
	}
	return beatRetry
}

// check looks at what this host has written at a revision.
func (h *heartbeats) check(kv KeyValue, at int64) {
	switch {
	case !kv.Present():
		h.signs.forget()
		h.suspect(whyAway)
	case kv.Modified < at:
		h.suspect(whyRestored)
	}
}

// await expects a heartbeat to come back that etcd has accepted. All hosts see it before what this
// host stores later.
func (h *heartbeats) await(b heartbeat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = b.Seen
	h.sent = b.Instant
	if h.contact() == b.Instant { // it was faster than the answer, and earlier ones need not come
		h.overdue = time.Time{}
		return
	}
	if h.overdue.IsZero() { // an earlier one is overdue first
		h.overdue = time.Now().Add(echoTimeout)
	}
}

// awaits returns in how long the link has to be moved.
func (h *heartbeats) awaits() (left time.Duration, awaited bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.overdue.IsZero() || h.watching.IsZero() {
		return 0, false
	}
	at := h.overdue
	if from := h.watching.Add(echoTimeout); from.After(at) {
		at = from
	}
	return time.Until(at), true
}

// move moves the link to another endpoint, whose watch gets the same time.
func (h *heartbeats) move() {
	h.mu.Lock()
	h.overdue = time.Now().Add(echoTimeout)
	h.mu.Unlock()
	h.link.Move(h.link.Moves())
}

// watch notes whether the mirror watches.
func (h *heartbeats) watch(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watching = time.Time{}
	if on {
		h.watching = time.Now()
		h.soon() // a heartbeat of before may have been read, and does not come back
	}
}

// see takes over a change of a heartbeat key. A heartbeat of this process that comes by the watch
// proves that the mirror has every change that was made before.
func (h *heartbeats) see(kv KeyValue, watched bool) {
	host := strings.TrimPrefix(kv.Key, heartbeatKey(h.prefix, ""))
	if !kv.Present() {
		h.mu.Lock()
		delete(h.peers, host)
		h.mu.Unlock()
		return
	}
	b, err := h.open(kv)
	if err != nil {
		h.report(kv.Key, err)
		return
	}
	if host == h.host {
		if watched && b.Run == h.id {
			h.echo(b.Instant)
		}
		return
	}
	h.mu.Lock()
	h.peers[host] = b
	told := h.restoredLocked(host, b)
	h.mu.Unlock()
	if told {
		h.suspect(whyTold)
	}
	if h.clocks.heard(b, h.clock.Now()) {
		h.soon()
	}
	if h.clocks.found() {
		h.suspect(whyMet) // the wall clock has dated copies
	}
}

// noticed is how many restores of etcd a process has noticed by itself.
type noticed struct {
	run      string
	restores int64
}

// restoredLocked reports whether the heartbeat b of a host tells of a restore of etcd that it has
// not told of before. mu is held.
func (h *heartbeats) restoredLocked(host string, b heartbeat) bool {
	before := h.noticed[host]
	if before.run == b.Run && before.restores >= b.Restores {
		return false
	}
	h.noticed[host] = noticed{b.Run, b.Restores}
	return before.run == b.Run || b.Restores > 0 && h.contact() != 0
}

// echo takes over a heartbeat that has come back.
func (h *heartbeats) echo(sent clock.Instant) {
	h.complete(sent)
	h.mu.Lock()
	defer h.mu.Unlock()
	if sent == h.sent {
		h.overdue = time.Time{}
	} else if !h.overdue.IsZero() { // a later one is awaited
		h.overdue = time.Now().Add(echoTimeout)
	}
}

func (h *heartbeats) open(kv KeyValue) (b heartbeat, err error) {
	_, text, err := h.sealer.Open(kv.Key, kv.Value)
	if err == nil {
		err = json.Unmarshal(text, &b)
	}
	if err != nil {
		return heartbeat{}, fmt.Errorf("heartbeat: %w", err)
	}
	return b, nil
}

// reset takes over all heartbeats that etcd has.
func (h *heartbeats) reset(all []KeyValue) {
	present := make(map[string]bool, len(all))
	for _, kv := range all {
		present[strings.TrimPrefix(kv.Key, heartbeatKey(h.prefix, ""))] = true
		h.see(kv, false)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for host := range h.peers {
		if !present[host] {
			delete(h.peers, host)
		}
	}
}

// peer returns the last heartbeat of another host.
func (h *heartbeats) peer(host string) (heartbeat, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b, ok := h.peers[host]
	return b, ok
}

func (h *heartbeats) hasTold(boot string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, told := h.told[boot]
	return told
}

// unmet returns the other members whose clocks are not known yet, or that do not know this host's.
func (h *heartbeats) unmet() (unmet []member) {
	for _, m := range h.members.list() {
		if m.host == h.host {
			continue
		}
		if b, ok := h.peer(m.host); ok && h.hasTold(b.Boot) {
			if h.clocks.exchanged(b.Boot) {
				continue
			}
		}
		unmet = append(unmet, m)
	}
	return unmet
}
