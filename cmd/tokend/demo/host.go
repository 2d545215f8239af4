package demo

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/cmd/tokend/sandbox"
	"tokend/daemon/boot"
	"tokend/daemon/catalog"
	"tokend/daemon/clock"
	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/config"
	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/daemon/refresh"
	"tokend/daemon/server"
	"tokend/daemon/server/socket"
	"tokend/daemon/store"
	"tokend/daemon/throttle"
	"tokend/fetchers"
)

const (
	// prefix is that of the cluster's keys in etcd.
	prefix = "/tokend"

	// callTimeout is upstream.timeout, with its default.
	callTimeout = 5 * time.Second

	// ttl is the life of a host's session in etcd, which follows from callTimeout.
	ttl = 3 * callTimeout
)

// host is one of several hosts, in the demonstration's process: a store, a socket and a session in
// etcd of its own.
type host struct {
	name     string
	conf     sandbox.Configuration
	key      []byte // encryption_key, the same on all hosts
	boottime func() time.Duration
	etcd     *kvtest.Etcd
	client   *kvtest.Client // the host as etcd sees it
	log      *os.File

	clients layer   // that read all the time
	running *daemon // nil while the host is down
	down    *daemon // the killed run, which may not have ended yet; nil if none
}

// newHost creates the directory conf.Dir and returns a host that is down.
func newHost(name string, conf sandbox.Configuration, key []byte, boottime func() time.Duration, etcd *kvtest.Etcd) (*host, error) {
	if err := os.Mkdir(conf.Dir, 0o700); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(conf.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &host{name: name, conf: conf, key: key, boottime: boottime, etcd: etcd, client: etcd.Client(name), log: log}, nil
}

// boottime returns a function that returns the time since boot.
func boottime() func() time.Duration {
	if since := boot.Clock(); since != nil {
		return since
	}
	began := time.Now()
	return func() time.Duration { return time.Since(began) }
}

// start starts the host's daemon and returns when it responds.
func (h *host) start(ctx context.Context) (err error) {
	if h.down != nil { // its directory is locked until it has ended
		<-h.down.ended
	}
	h.client.Heal()
	d := &daemon{client: h.client, ended: make(chan struct{})}
	h.running = d
	return d.start(ctx, h)
}

// kill ends the host's daemon as a crash does, as far as anyone else can see: from one moment on,
// it writes nothing to its disk, reaches neither etcd nor its clients, and releases nothing.
func (h *host) kill() {
	h.down, h.running = h.running, nil
	h.down.kill()
}

// leave ends everything that runs.
func (h *host) leave() {
	h.clients.end()
	if h.down != nil {
		<-h.down.ended
	}
	if h.running != nil {
		h.running.stop()
		h.running = nil
	}
	_ = h.log.Close()
}

// daemon is one run of a host. It consists of the packages that package daemon uses.
type daemon struct {
	client *kvtest.Client
	store  *store.Store
	disk   *disk
	link   *cluster.Link
	peers  *cluster.Host
	up     *catalog.Upstream
	engine *refresh.Engine

	// What runs, in the order of the start.
	session, refreshing, serving layer

	ended chan struct{} // closed when a killed one has ended
}

// layer is something that runs until it is ended.
type layer struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	err    error // set before done
}

func (l *layer) begin(run func(context.Context) error) {
	var ctx context.Context
	ctx, l.cancel = context.WithCancel(context.Background())
	l.done.Go(func() { l.err = run(ctx) })
}

// abandon lets l end.
func (l *layer) abandon() {
	if l.cancel != nil {
		l.cancel()
	}
}

func (l *layer) end() {
	l.abandon()
	l.done.Wait()
}

func (d *daemon) start(ctx context.Context, h *host) error {
	file, err := config.Parse("tokend.toml", []byte(h.conf.TOML()), config.Env{})
	if err != nil {
		return err
	}
	file.Upstream.Timeout = callTimeout
	log := hclog.New(&hclog.LoggerOptions{Name: h.name, Level: hclog.Info, Output: h.log})
	if d.store, err = store.Open(store.Config{Dir: file.StateDir, Key: h.key, Logger: log.Named("store")}); err != nil {
		return err
	}
	d.disk = &disk{Local: d.store}
	bootID := cmp.Or(boot.ID(), "demo") + "@" + h.name
	d.up = catalog.NewUpstream(file.Upstream, file.Limits.UpstreamCalls, catalog.NewCalls(), log)
	accounts := catalog.New(file, d.up, nil)
	if err := d.join(ctx, h, bootID, accounts, log); err != nil {
		return err
	}
	budget := throttle.New()
	d.engine, err = refresh.New(refresh.Config{
		Store:    d.peers.Store(),
		Peers:    d.peers,
		Catalog:  accounts,
		Hosts:    catalog.Hosts(func() *catalog.Upstream { return d.up }),
		Logger:   log.Named("refresh"),
		Boottime: h.boottime,
		Boot:     bootID,
		Timeout:  callTimeout,
		Calls:    file.Limits.UpstreamCalls,
		Throttle: budget,
	})
	if err != nil {
		return err
	}
	d.peers.Follow(d.engine)
	d.refreshing.begin(d.engine.Run)
	ln, err := socket.Listen(file.Socket, file.SocketMode)
	if err != nil {
		return err
	}
	answering := server.New(server.Config{
		Engine:   view{d.engine},
		Sign:     fetchers.Sign,
		Throttle: budget,
		Logger:   log.Named("server"),
		Audit:    hclog.NewNullLogger(), // hundreds of clients reject
		Limits:   server.Limits{MaxConns: file.Limits.MaxConnections},
	})
	d.serving.begin(func(ctx context.Context) error { return answering.Serve(ctx, ln) })
	return nil
}

// join begins the host's session and returns when the host has all records of the others.
func (d *daemon) join(ctx context.Context, h *host, bootID string, accounts *catalog.Catalog, log hclog.Logger) (err error) {
	d.link = cluster.NewLink(h.etcd.Endpoints(), func(endpoint string) (cluster.KV, error) { return h.client.Dial(endpoint), nil })
	d.peers, err = cluster.New(cluster.Config{
		Prefix:   prefix,
		Host:     h.name,
		Presence: cluster.Presence{Machine: h.name, Boot: bootID, PID: os.Getpid(), Version: "demo", Formats: 1},
		Key:      h.key,
		Timeout:  callTimeout,
		Link:     d.link,
		Local:    d.disk,
		Clock:    clock.New(h.boottime),
		Boot:     bootID,
		Private:  private,
		Grant: func(name string) string {
			s, _ := accounts.Lookup(name) // all hosts have the same accounts
			return s.Grant
		},
		Logger: log.Named("cluster"),
	})
	if err != nil {
		return err
	}
	ctx, failed := context.WithCancelCause(ctx)
	defer failed(nil)
	d.session.begin(func(ctx context.Context) error {
		err := d.peers.Run(ctx)
		failed(err)
		return err
	})
	if err := d.peers.Ready(ctx); err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	return nil
}

// stop ends d as a daemon stops: clients first, and the session last, when all answers are stored.
func (d *daemon) stop() {
	d.serving.end()
	d.refreshing.end()
	d.session.end()
	if d.link != nil {
		d.link.Close()
	}
	if d.up != nil {
		d.up.Close()
	}
	if d.store != nil {
		_ = d.store.Close() // the directory is removed
	}
}

// kill lets d end without effect and returns before it has ended.
func (d *daemon) kill() {
	d.client.Cut()
	d.link.Close() // nobody waits for answers that cannot come
	d.disk.fail()
	d.serving.abandon()
	d.refreshing.abandon()
	d.session.abandon()
	go func() { // start and leave wait for it
		d.stop()
		close(d.ended)
	}()
}

// disk is a store that refuses writes once its host has been killed.
type disk struct {
	cluster.Local
	killed atomic.Bool
}

var errKilled = errors.New("the host was killed")

func (d *disk) fail() { d.killed.Store(true) }

func (d *disk) Put(ctx context.Context, recs ...record.Record) error {
	if d.killed.Load() {
		return errKilled
	}
	return d.Local.Put(ctx, recs...)
}

func (d *disk) Copy(ctx context.Context, recs ...record.Record) error {
	if d.killed.Load() {
		return errKilled
	}
	return d.Local.Copy(ctx, recs...)
}

// view adapts the engine to the server's interface.
type view struct{ *refresh.Engine }

// Watch adapts the result of the engine's method.
func (v view) Watch(work *throttle.Work, prefix string, may func(string) bool) (int, iter.Seq[credential.Listing], server.Watch) {
	return v.Engine.Watch(work, prefix, may)
}

// Subscribe adapts the result of the engine's method.
func (v view) Subscribe(prefix string) server.Watch { return v.Engine.Subscribe(prefix) }

// private reports whether a record concerns one host alone: WeCom counts erroneous calls by
// address.
func private(r record.Record) bool {
	return r.Table == record.Budgets && r.Key == policy.WeCom.Faults.Key("")
}
