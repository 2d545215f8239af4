package simulation

import (
	"bytes"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
	"tokend/daemon/store/memstore"
)

// process is one run of tokend.
type process struct {
	host    *host
	n       int
	client  *kvtest.Client
	disk    *memstore.Store
	timeout time.Duration // of a call

	dead  atomic.Bool
	ended chan struct{} // closed when nothing of it runs any more
	kill  context.CancelFunc
	stop  func() // begins a clean stop

	engine atomic.Pointer[refresh.Engine] // nil until it is ready
	peers  atomic.Pointer[cluster.Host]   // likewise

	// Guarded by truth.mu.
	calls     map[*call]bool       // own calls under way
	air       map[string]int       // those that count
	late      int                  // those that may be sent after their claim has ended
	wasLate   time.Time            // when the last of them was under way
	unwritten map[string]string    // codes whose answers p has not written to its disk, by the token in it
	void      map[string]time.Time // by name: until then, a call may be under way whose claim etcd has forgotten
}

const (
	// leaseMargin is by how much etcd's end of a session is later than what its host relies on.
	leaseMargin = time.Second

	// voidFor is how long after the end of a claim a call may begin that was to be made with it.
	voidFor = 5 * time.Second
)

func (p *process) isDead() bool { return p.dead.Load() }

// gate waits while the host is paused.
func (p *process) gate() {
	for {
		p.host.mu.Lock()
		pause := p.host.pause
		p.host.mu.Unlock()
		if pause == nil || p.isDead() {
			return
		}
		<-pause
	}
}

// call is a call under way.
type call struct {
	name string // see request.once
	late bool   // its claim may have ended before it was sent
}

// claim returns the name that the claim for c has: see [world.claimed].
func (c *call) claim() string {
	if strings.HasPrefix(c.name, anyCode) {
		return anyCode
	}
	return c.name
}

// flying counts a call of p. t.mu is held.
func (p *process) flying(c *call, t *truth) {
	p.calls[c] = true
	if now := time.Now(); c.late || c.name != "" && (now.Before(p.void[c.claim()]) || now.Before(p.void[""])) {
		p.strays(c, t)
	}
	if c.name == "" || c.late || p.isDead() || p.host.isPaused() {
		return
	}
	p.air[c.name]++
	t.flying[c.name]++
}

// strays notes that nothing keeps a peer from calling before c. t.mu is held.
func (p *process) strays(c *call, t *truth) {
	c.late = true
	p.late++
	p.wasLate = time.Now()
}

// landed ends the count of a call of p. t.mu is held.
func (p *process) landed(c *call, t *truth) {
	delete(p.calls, c)
	if c.late {
		p.late--
		p.wasLate = time.Now()
	}
	if p.air[c.name] > 0 {
		p.air[c.name]--
		t.flying[c.name]--
	}
}

// ground ends the count of all calls of p: it is paused or dead.
func (p *process) ground() {
	t := p.host.world.truth
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, n := range p.air {
		t.flying[name] -= n
	}
	clear(p.air)
}

// unclaim ends the count of the calls for which p has a claim now: etcd is about to end the session
// or to forget the claim, and nothing tells p in time.
func (p *process) unclaim() {
	w := p.host.world
	names := w.claimed(p.host)
	p.ground()
	w.truth.mu.Lock()
	defer w.truth.mu.Unlock()
	for _, name := range names {
		p.void[name] = time.Now().Add(voidFor)
	}
	for c := range p.calls {
		if !c.late && slices.Contains(names, c.claim()) {
			p.strays(c, w.truth)
		}
	}
}

// unclaimAll ends the count of all calls of p that begin soon.
func (p *process) unclaimAll() {
	t := p.host.world.truth
	t.mu.Lock()
	defer t.mu.Unlock()
	p.void[""] = time.Now().Add(voidFor)
}

// mortal is the disk of a host as one process sees it.
type mortal struct {
	*memstore.Store
	p *process
}

// Put is a step of a flight if it stores what is worth a journal.
func (m mortal) Put(ctx context.Context, recs ...record.Record) error {
	return m.write(ctx, m.Store.Put, recs)
}

// Copy is a step like Put. The next crash undoes it, if no Put is in between.
func (m mortal) Copy(ctx context.Context, recs ...record.Record) error {
	return m.write(ctx, m.Store.Copy, recs)
}

func (m mortal) write(ctx context.Context, put func(context.Context, ...record.Record) error, recs []record.Record) error {
	for _, r := range recs {
		if r.Value != nil && (r.Table.Irreplaceable() || r.Table == record.Credentials) {
			fate := m.p.host.world.atStep(m.p.host, journals, string(r.Table)+" "+shorten(r.Key))
			if fate.kills() && fate.n&1 == 1 { // it reached the disk before the crash
				m.p.writes(recs)
				_ = put(context.Background(), recs...)
			}
			break
		}
	}
	if !m.p.host.world.wasRestored() {
		m.p.gate()
	}
	if m.p.isDead() {
		return errDead
	}
	m.p.writes(recs)
	return put(ctx, recs...)
}

// awaits notes that p has the answer to a code, with a token.
func (p *process) awaits(code, token string) {
	t := p.host.world.truth
	t.mu.Lock()
	defer t.mu.Unlock()
	p.unwritten[token] = code
}

// writes notes that p writes recs to its disk: the answers in them survive a crash.
func (p *process) writes(recs []record.Record) {
	t := p.host.world.truth
	t.mu.Lock()
	defer t.mu.Unlock()
	for token := range p.unwritten {
		if slices.ContainsFunc(recs, func(r record.Record) bool { return bytes.Contains(r.Value, []byte(token)) }) {
			t.kept[p.unwritten[token]] = true
			delete(p.unwritten, token)
		}
	}
}

// forgets notes that the answers which p has not written are lost.
func (p *process) forgets() {
	t := p.host.world.truth
	t.mu.Lock()
	lost := slices.Collect(maps.Values(p.unwritten))
	t.mu.Unlock()
	for _, code := range lost {
		if !p.host.world.isNamed(code) {
			t.orphan(code)
		}
	}
}

// All yields every record of a table. Map order must not decide what happens.
func (m mortal) All(table record.Table) iter.Seq2[record.Record, error] { return m.Store.All(table) }

func (e event) kills() bool {
	return e.verb == crashes || e.verb == dies || e.verb == reboots || e.verb == rewinds
}
