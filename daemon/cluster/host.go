package cluster

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"tokend/daemon/clock"
	"tokend/daemon/cluster/seal"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
)

// Config is what a [Host] needs. All fields but Private, Grant and Logger are required.
type Config struct {
	Prefix   string // of the cluster's keys in etcd, without a slash at the end
	Host     string
	Presence Presence

	// Key is the encryption key, the same on all hosts.
	Key []byte

	// Timeout is that of a call to WeChat.
	Timeout time.Duration

	Link *Link

	Local Local

	// Clock counts from the boot that Boot names. Boot is "<boot id>@<host>", because containers
	// share a boot ID.
	Clock *clock.Clock
	Boot  string

	// Private reports whether a record concerns this host alone; nil: none does.
	Private func(record.Record) bool

	// Grant returns the name of the grant that a credential is fetched with, empty if there is
	// none; nil: no credential has one.
	Grant func(name string) string

	Logger hclog.Logger // nil: none
}

// Follower takes over what other hosts have stored. An engine is one.
type Follower interface {
	// Follow takes over records. A nil Value is a deletion.
	Follow(recs ...record.Record)
}

// Host is one host of a cluster. It is the [refresh.Peers] of its engine. Create a Host with New,
// call Run, wait for Ready, create the engine, and pass it to Follow.
type Host struct {
	cfg Config
	log hclog.Logger

	counts counts

	// Set before ready is closed, constant afterwards.
	keys     *keys
	sessions *Sessions
	members  *members
	clocks   *clocks
	beats    *heartbeats
	mirror   *mirror
	signs    *signs
	claims   *claims
	offers   *offers
	store    *Store

	ready chan struct{}

	mu       sync.Mutex
	follower Follower
	followed chan struct{} // closed when there is a follower

	told tellings
}

// counts are the figures of a run.
type counts struct {
	txns, conflicts, claims, waited, lost, takeovers, doubts atomic.Int64
}

// New returns a host that has not joined yet.
func New(cfg Config) (*Host, error) {
	if cfg.Link == nil || cfg.Local == nil || cfg.Clock == nil || cfg.Boot == "" || cfg.Host == "" {
		return nil, errors.New("cluster: Config needs Link, Local, Clock, Boot and Host")
	}
	if cfg.Private == nil {
		cfg.Private = func(record.Record) bool { return false }
	}
	if cfg.Grant == nil {
		cfg.Grant = func(string) string { return "" }
	}
	h := &Host{cfg: cfg, log: cfg.Logger, ready: make(chan struct{}), followed: make(chan struct{})}
	if h.log == nil {
		h.log = hclog.NewNullLogger()
	}
	h.told.added = make(chan struct{}, 1)
	h.store = &Store{Store: cfg.Local, host: h, deleted: make(map[recordID]int64)}
	return h, nil
}

// Run joins the cluster and serves the engine until ctx is done. The engine has ended before, so
// that its answers are stored. Then Run stores what etcd still accepts and ends the session. It
// fails if the host's name is in use by another machine or the encryption key is another one.
func (h *Host) Run(ctx context.Context) error {
	root, err := h.join(ctx)
	if err != nil {
		return ignoreDone(ctx, err)
	}
	if err := h.assemble(root); err != nil {
		return err
	}
	// The session outlasts everything that needs it.
	lasting, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var g errgroup.Group
	working, stop := context.WithCancel(ctx)
	g.Go(func() error {
		defer stop() // without a session, nothing else has a purpose
		return h.sessions.Run(lasting)
	})
	g.Go(func() error {
		defer end()
		var work errgroup.Group
		work.Go(func() error { return h.beats.run(working) })
		work.Go(func() error { return h.mirror.run(working) })
		work.Go(func() error { return h.offers.run(working) })
		work.Go(func() error { return h.tell(working) })
		work.Go(func() error { return h.readied(working) })
		err := work.Wait()
		h.offers.flush(lasting)
		return err
	})
	err = g.Wait()
	h.cfg.Link.Close()
	return ignoreDone(ctx, err)
}

// ignoreDone returns err, or nil if it is only that ctx is done.
func ignoreDone(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// assemble makes the parts of h that need the cluster's secret.
func (h *Host) assemble(root seal.Root) error {
	sealer, err := seal.New(root.Secret)
	if err != nil {
		return err
	}
	h.keys = &keys{prefix: h.cfg.Prefix, sealer: sealer}
	h.sessions, err = NewSessions(SessionConfig{
		Prefix: h.cfg.Prefix, Host: h.cfg.Host, Presence: h.cfg.Presence, Timeout: h.cfg.Timeout,
		Link: h.cfg.Link, Sealer: sealer, Clock: h.cfg.Clock, Logger: h.log,
	})
	if err != nil {
		return err
	}
	h.claims, h.offers = newClaims(h), newOffers(h)
	h.offers.load()
	return h.wire(root, sealer)
}

// Ready waits until the host has the cluster's records and knows its peers' clocks. If it has
// joined in an earlier run and etcd is unreachable, it returns within 3 s.
func (h *Host) Ready(ctx context.Context) error {
	select {
	case <-h.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Store returns the store of the host's engine.
func (h *Host) Store() refresh.Store { return h.store }

// Follow passes on to f what other hosts store from now on, and what they have stored since Ready.
func (h *Host) Follow(f Follower) {
	h.mu.Lock()
	h.follower = f
	h.mu.Unlock()
	close(h.followed)
}

// apply passes records on to the follower, in the order of the calls. Before Ready, they are
// stored. Between Ready and Follow, apply waits: the follower is reading the store.
func (h *Host) apply(ctx context.Context, recs ...record.Record) error {
	if len(recs) == 0 {
		return nil
	}
	if !h.isReady() {
		if err := h.store.follow(ctx, stored(recs)); err != nil || !h.isReady() {
			return err
		}
		// The follower may have read the store before.
	}
	select {
	case <-h.followed:
	case <-ctx.Done():
		return ctx.Err()
	}
	h.follower.Follow(recs...)
	return nil
}

func (h *Host) isReady() bool {
	select {
	case <-h.ready:
		return true
	default:
		return false
	}
}

// tellings are claims that the engine does not know yet. The goroutine that learns of a claim may
// have names locked that the engine needs, so another goroutine passes the claim on.
type tellings struct {
	mu    sync.Mutex
	recs  []record.Record
	added chan struct{} // a level trigger
}

// queue makes run pass r on to the engine.
func (h *Host) queue(r record.Record) {
	h.told.mu.Lock()
	h.told.recs = append(h.told.recs, r)
	h.told.mu.Unlock()
	select {
	case h.told.added <- struct{}{}:
	default:
	}
}

// tell passes on to the engine what is queued, until ctx is done.
func (h *Host) tell(ctx context.Context) error {
	select {
	case <-h.followed:
	case <-ctx.Done():
		return nil
	}
	for {
		h.told.mu.Lock()
		recs := h.told.recs
		h.told.recs = nil
		h.told.mu.Unlock()
		if len(recs) > 0 {
			h.follower.Follow(recs...)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-h.told.added:
		}
	}
}

// stored returns the records of recs that are on disk: claims are not.
func stored(recs []record.Record) (all []record.Record) {
	for _, r := range recs {
		if r.Table != record.Claims {
			all = append(all, r)
		}
	}
	return all
}

// txn makes one transaction.
func (h *Host) txn(ctx context.Context, t Txn) (o Outcome, err error) {
	h.counts.txns.Add(1)
	var before int64
	if h.mirror != nil { // not while joining
		before = h.mirror.reached()
	}
	o, err = h.cfg.Link.txn(ctx, t)
	if err == nil && !o.Held && len(t.If) > 0 {
		h.counts.conflicts.Add(1)
	}
	if err == nil && h.mirror != nil {
		h.signs.wrote(t, o)
		if o.Held && t.puts() {
			before++ // else its revision is not a new one
		}
		h.mirror.observe(before, o.Header)
	}
	return o, err
}

// Rank implements [refresh.Peers].
func (h *Host) Rank(name string) (rank, of int) {
	hosts := h.members.hosts()
	return Rank(h.cfg.Host, name, hosts), max(len(hosts), 1)
}

// Offset implements [refresh.Peers].
func (h *Host) Offset(boot string) (low, high time.Duration, ok bool) { return h.clocks.Offset(boot) }

// Confirmed implements [refresh.Peers].
func (h *Host) Confirmed() clock.Instant { return h.beats.contact() }
