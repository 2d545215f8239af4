package simulation

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/catalog"
	"tokend/daemon/clock"
	"tokend/daemon/cluster"
	"tokend/daemon/policy"
	"tokend/daemon/quota"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
	"tokend/daemon/store/memstore"
	"tokend/fetchers/secret"
)

func newDisk() *memstore.Store { return new(memstore.Store) }

// run is the life of a process, as the daemon's is: it joins the cluster, serves until engineCtx is
// done, and leaves. The end of ctx is a crash.
func (p *process) run(ctx, engineCtx context.Context) {
	h, w := p.host, p.host.world
	booted, boot := h.booted, h.bootID()
	boottime := func() time.Duration { return time.Since(booted) }
	up, specs := p.accounts()
	cfg := refresh.Config{
		Store: mortal{p.disk, p}, Catalog: specs, Hosts: catalog.Hosts(func() *catalog.Upstream { return up }), Timeout: up.Timeout, // what is left of a session is compared with it
		Boottime: boottime, Boot: boot, Wall: h.wallClock, Logger: p.log(),
	}
	var peers *cluster.Host
	if !w.plan.alone {
		var leave func()
		if peers, leave = p.join(ctx, boottime, boot, up.Timeout, specs); peers == nil {
			return
		}
		defer leave()
		if peers.Ready(engineCtx) != nil {
			return
		}
		cfg.Store, cfg.Peers = peers.Store(), peers
	}
	e, err := refresh.New(cfg)
	if err != nil {
		w.violate("%s: %v", h.name, err)
		return
	}
	if peers != nil {
		peers.Follow(e)
		p.peers.Store(peers)
	}
	p.engine.Store(e)
	w.note(h, "is ready")
	if err := e.Run(engineCtx); err != nil && !p.isDead() {
		w.violate("%s: Run: %v", h.name, err)
	}
}

// join makes the process a host of the cluster until leave is called.
func (p *process) join(ctx context.Context, boottime func() time.Duration, boot string, timeout time.Duration, specs refresh.Catalog) (peers *cluster.Host, leave func()) {
	h, w := p.host, p.host.world
	endpoints := w.etcd.Endpoints()
	for range h.i % len(endpoints) {
		endpoints = append(endpoints[1:], endpoints[0])
	}
	peers, err := cluster.New(cluster.Config{
		Prefix: prefix, Host: h.name, Key: encryptionKey, Timeout: timeout,
		Presence: cluster.Presence{Machine: "machine-" + h.name, Boot: boot, PID: p.n, Version: "1.0.0", Formats: 1},
		Link:     cluster.NewLink(endpoints, func(endpoint string) (cluster.KV, error) { return p.client.Dial(endpoint), nil }),
		Local:    mortal{p.disk, p}, Clock: clock.NewWall(boottime, h.wallClock), Boot: boot, Private: private, Logger: p.log(),
		Grant: func(name string) string {
			s, _ := specs.Lookup(name) // fails for names of other hosts' accounts, which are not stored here
			return s.Grant
		},
	})
	if err != nil {
		w.violate("%s: %v", h.name, err)
		return nil, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := peers.Run(ctx); err != nil && !p.isDead() {
			w.violate("%s: leaves the cluster: %v", h.name, err)
			p.stop()
		}
	}()
	return peers, func() { cancel(); <-ended }
}

// wallClock returns what the wall clock of h shows.
func (h *host) wallClock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(h.wall)
}

// private reports whether a record concerns one host alone: WeCom counts faulty calls by address.
func private(r record.Record) bool {
	return r.Table == record.Budgets && r.Key == policy.WeCom.Faults.Key("")
}

// accounts returns what p is configured with.
func (p *process) accounts() (*catalog.Upstream, refresh.Catalog) {
	file := configured(p.host.odd)
	up := catalog.NewUpstream(file.Upstream, file.Limits.UpstreamCalls, catalog.NewCalls(), hclog.NewNullLogger())
	weixin, work := up.Clients()
	weixin.Transport, work.Transport = caller{p}, caller{p}
	var all refresh.Catalog = catalog.New(file, up, nil)
	if p.host.world.plan.tight {
		all = tight{all}
	}
	return up, all
}

// reload gives the engine its configuration again.
func (p *process) reload() {
	if e := p.engine.Load(); e != nil {
		_, all := p.accounts()
		e.SetCatalog(all)
	}
}

// tight is a catalog with small budgets, so that a short schedule uses them up.
type tight struct{ refresh.Catalog }

const (
	tightWindow = 10 * time.Minute
	tightLimit  = 6
	tightSpare  = 5
)

// small are the policies with small budgets. Customers' tokens have none: a lost answer could not
// be fetched again before the refresh token dies.
var small = func() map[*policy.Policy]*policy.Policy {
	all := map[*policy.Policy]*policy.Policy{}
	for _, p := range []*policy.Policy{policy.RotatingToken, policy.Ticket, policy.AuthorizerTicket, policy.CorpTicket} {
		c := *p
		c.Budgets = []quota.Budget{{Word: p.Word, Calls: "calls", Window: tightWindow, Limit: tightLimit, Spare: tightSpare}}
		all[p] = &c
	}
	return all
}()

func (t tight) Lookup(name string) (refresh.Spec, error) {
	s, err := t.Catalog.Lookup(name)
	if p := small[s.Policy]; p != nil {
		s.Policy = p
	}
	return s, err
}

func (t tight) Specs() iter.Seq[*refresh.Spec] {
	return func(yield func(*refresh.Spec) bool) {
		for s := range t.Catalog.Specs() {
			c := *s
			if p := small[s.Policy]; p != nil {
				c.Policy = p
			}
			if !yield(&c) {
				return
			}
		}
	}
}

// log returns a logger into the timeline, or none: most schedules are not looked at.
func (p *process) log() hclog.Logger {
	if !p.host.world.plan.verbose {
		return hclog.NewNullLogger()
	}
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: noter{p.host}, DisableTime: true})
}

// noter writes log lines to the timeline.
type noter struct{ h *host }

func (n noter) Write(b []byte) (int, error) {
	n.h.world.note(n.h, "log: %s", b[:max(len(b)-1, 0)])
	return len(b), nil
}

var errNotYet = errors.New("not ready")

// put puts a grant, as an operator does.
func (h *host) put(name, value string) error {
	p := h.current()
	if p == nil || p.engine.Load() == nil {
		return errNotYet
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return p.engine.Load().Put(ctx, name, secret.Text(value))
}
