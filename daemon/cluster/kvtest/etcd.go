package kvtest

import (
	"slices"
	"sync"
	"time"

	"tokend/daemon/cluster"
)

const (
	// minTTL is the shortest life of a lease, and noLeader how long after the loss of the quorum a
	// watch ends. These are etcd's with an election timeout of 500 ms, half of the default.
	minTTL   = time.Second
	noLeader = 2 * time.Second

	// maxRequest is etcd's default --max-request-bytes.
	maxRequest = 1.5 * 1024 * 1024

	// opOverhead is about what encodes an operation in a request, besides key and value.
	opOverhead = 16
)

// Etcd is an etcd of three members. Its methods may be called concurrently. Create an Etcd with
// New, inside the bubble that uses it if there is one.
type Etcd struct {
	mu       sync.Mutex
	id       uint64 // of the cluster
	space    space
	leases   map[cluster.Lease]*lease
	granted  cluster.Lease // the last one; never reused, not even after a restore
	members  []*member
	clients  map[string]*Client
	full     bool
	lost     time.Time // when the quorum was lost; zero while there is one
	waiting  []func()  // requests that wait for a quorum
	restores int       // requests from before a restore do not arrive

	changed chan struct{} // closed and replaced whenever a watch may continue
}

// member is one process of the etcd.
type member struct {
	endpoint string
	state    state
	held     []func() // requests that arrived while it was frozen
}

type state uint8

const (
	running state = iota
	frozen
	stopped
)

// New returns an empty Etcd.
func New() *Etcd {
	e := &Etcd{
		id:      1,
		space:   newSpace(),
		leases:  make(map[cluster.Lease]*lease),
		clients: make(map[string]*Client),
		changed: make(chan struct{}),
	}
	for _, endpoint := range []string{"etcd1", "etcd2", "etcd3"} {
		e.members = append(e.members, &member{endpoint: endpoint})
	}
	return e
}

// Endpoints returns the endpoints of the members.
func (e *Etcd) Endpoints() (all []string) {
	for _, m := range e.members {
		all = append(all, m.endpoint)
	}
	return all
}

// Freeze stops a member as SIGSTOP does: requests that it receives wait until [Etcd.Start], and its
// watches are silent. While two members are frozen or stopped, there is no quorum.
func (e *Etcd) Freeze(endpoint string) { e.setState(endpoint, frozen) }

// Stop stops a member as SIGKILL does: it does not answer, and its watches are silent.
func (e *Etcd) Stop(endpoint string) { e.setState(endpoint, stopped) }

// Start starts a member that was frozen or stopped. Watches resume.
func (e *Etcd) Start(endpoint string) { e.setState(endpoint, running) }

// StopQuorum stops all members but the first.
func (e *Etcd) StopQuorum() {
	for _, endpoint := range e.Endpoints()[1:] {
		e.Stop(endpoint)
	}
}

// StartQuorum starts all members.
func (e *Etcd) StartQuorum() {
	for _, endpoint := range e.Endpoints() {
		e.Start(endpoint)
	}
}

func (e *Etcd) setState(endpoint string, s state) {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.member(endpoint)
	m.state = s
	held := m.held
	if s != frozen {
		m.held = nil
	}
	switch had := e.lost.IsZero(); {
	case had && !e.majority():
		e.lost = time.Now()
		for _, l := range e.leases {
			l.timer.Stop()
		}
	case !had && e.majority():
		e.lost = time.Time{}
		for _, l := range e.leases { // a new leader gives every lease its full life
			l.restart()
		}
		waiting := e.waiting
		e.waiting = nil
		run(waiting)
	}
	if s == running {
		run(held)
	}
	e.wake()
}

// run runs requests that were held, in the order of their arrival.
func run(held []func()) {
	for _, arrive := range held {
		arrive()
	}
}

func (e *Etcd) member(endpoint string) *member {
	i := slices.IndexFunc(e.members, func(m *member) bool { return m.endpoint == endpoint })
	if i < 0 {
		panic("kvtest: no member has the endpoint " + endpoint)
	}
	return e.members[i]
}

func (e *Etcd) majority() bool {
	n := 0
	for _, m := range e.members {
		if m.state == running {
			n++
		}
	}
	return n > len(e.members)/2
}

// wake wakes all watches.
func (e *Etcd) wake() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// later runs f with e locked, after d. It does not if the etcd is restored before.
func (e *Etcd) later(d time.Duration, f func()) {
	if d <= 0 {
		f()
		return
	}
	restores := e.restores
	time.AfterFunc(d, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if restores == e.restores {
			f()
		}
	})
}

// Fill makes etcd refuse what needs space, until [Etcd.Free].
func (e *Etcd) Fill() { e.setFull(true) }

// Free ends what [Etcd.Fill] began.
func (e *Etcd) Free() { e.setFull(false) }

func (e *Etcd) setFull(full bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.full = full
}

// Compact drops what is older than a revision. It fails if that revision has not been reached or
// was compacted before.
func (e *Etcd) Compact(revision int64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	defer e.wake()
	return e.space.compact(revision)
}

// Keys returns the present keys with a prefix, in order, whatever has failed.
func (e *Etcd) Keys(prefix string) []cluster.KeyValue {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, _ := e.space.page(cluster.Range{Prefix: prefix}) // fails only for old or future revisions
	return p.Keys
}

// Revision returns the revision of the last change.
func (e *Etcd) Revision() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.space.revision
}

// Backup is the state of an [Etcd] at one moment.
type Backup struct {
	id     uint64
	space  space
	leases map[cluster.Lease]time.Duration
}

// Backup returns the state of e.
func (e *Etcd) Backup() *Backup {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := &Backup{id: e.id, space: e.space.clone(), leases: make(map[cluster.Lease]time.Duration)}
	for id, l := range e.leases {
		b.leases[id] = l.ttl
	}
	return b
}

// Restore gives e the state of a backup. Requests under way are lost, leases start their life
// again. With renamed, etcd gets another cluster ID. Both happen: the ID depends on how an operator
// restores.
func (e *Etcd) Restore(b *Backup, renamed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.restores++
	e.id = b.id
	if renamed {
		e.id += uint64(e.restores)
	}
	e.space = b.space.clone()
	e.waiting = nil
	for _, m := range e.members {
		m.held = nil
	}
	for _, c := range e.clients {
		c.held = nil
	}
	for id := range e.leases {
		e.forget(id)
	}
	for id, ttl := range b.leases {
		e.lend(id, ttl)
	}
	e.wake()
}

func (e *Etcd) header() cluster.Header {
	return cluster.Header{Cluster: e.id, Revision: e.space.revision}
}
