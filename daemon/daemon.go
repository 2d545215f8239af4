package daemon

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"tokend/daemon/access"
	"tokend/daemon/boot"
	"tokend/daemon/catalog"
	"tokend/daemon/config"
	"tokend/daemon/credential"
	"tokend/daemon/footprint"
	"tokend/daemon/inbox"
	"tokend/daemon/refresh"
	"tokend/daemon/server"
	"tokend/daemon/server/descriptors"
	"tokend/daemon/server/socket"
	"tokend/daemon/store"
	"tokend/daemon/throttle"
	"tokend/daemon/web"
	"tokend/fetchers"
)

// Config is what a daemon is made of. File is required.
type Config struct {
	// File is the configuration.
	File *config.Config

	// Logger receives what happens; nil for nothing. No secret ever reaches it.
	Logger hclog.Logger

	// Audit, if not nil, receives the audit in place of Logger.
	Audit hclog.Logger

	// LogDropped, if not nil, returns how many lines of the log have been dropped.
	LogDropped func() int64

	// Version is what VERSION answers.
	Version string

	// Listeners are sockets that somebody else has bound, such as systemd: they are closed
	// on stop and their files left alone. Empty: the daemon listens at the configured path.
	Listeners []net.Listener

	// Subuids is the file of the host's subordinate uids, see [server.Config]; "" for none. It is
	// read again by each reload.
	Subuids string

	// Reload, if not nil, is called for each RELOAD: it reads the configuration again and hands it
	// to [Daemon.Reload]. Its error is shown to operators, in a line. Nil: RELOAD is refused.
	Reload func(context.Context) error

	// Ready, if not nil, is called once, when requests are being answered;
	// Stopping once, when a stop has begun.
	Ready, Stopping func()
}

// Daemon keeps credentials and answers for them. Make one with [New]; it lives until
// Run returns.
type Daemon struct {
	// Set by New, read-only after.
	cfg       Config
	log       hclog.Logger
	store     *store.Store
	engine    *refresh.Engine
	server    *server.Server
	inbox     *inbox.Inbox
	listeners []net.Listener
	http      net.Listener // nil: no HTTP
	web       *web.Server  // nil with http
	calls     *catalog.Calls
	throttle  *throttle.Budget // of long work
	began     time.Time
	loaded    atomic.Int64 // when file was read, in Unix nanoseconds
	named     atomic.Bool  // metrics name credentials and accounts one by one

	reload sync.Mutex // serialises Reload; guards file
	file   *config.Config
	up     atomic.Pointer[catalog.Upstream] // replaced by Reload
}

// New opens the store and the socket. Nothing runs yet; what cannot work (another
// daemon, a foreign file at the socket's path, a wrong key, a state directory
// that others can read) is its error, and nothing has been touched then.
func New(cfg Config) (*Daemon, error) {
	log := cfg.Logger
	if log == nil {
		log = hclog.NewNullLogger()
	}
	d := &Daemon{cfg: cfg, log: log, file: cfg.File, calls: catalog.NewCalls(), throttle: throttle.New(), began: time.Now()}
	d.loaded.Store(d.began.UnixNano())
	if err := d.open(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Daemon) open() (err error) {
	file := d.cfg.File
	// The socket is looked at first: a second daemon is then told so by the first one's socket, not
	// by its lock on the store. It is made when the store is open, so that a wrong key leaves even
	// a stale one alone.
	for _, ln := range d.cfg.Listeners {
		d.listeners = append(d.listeners, socket.Adopt(ln))
	}
	if len(d.listeners) == 0 {
		if err := socket.Vacant(file.Socket); err != nil {
			return err
		}
	}
	var key []byte // nil keeps the store in clear
	if file.EncryptionKey != "" {
		key = []byte(file.EncryptionKey)
	}
	d.store, err = store.Open(store.Config{Dir: file.StateDir, Key: key, Logger: d.log.Named("store"), Ahead: true})
	if err != nil {
		return err
	}
	if len(d.listeners) == 0 {
		ln, err := socket.Listen(file.Socket, file.SocketMode)
		if err != nil {
			return err
		}
		d.listeners = []net.Listener{ln}
	}
	// A way in that no flood of connections to the shared socket fills: its queue in the kernel is
	// its own. Without it the shared one still has places for operators.
	if ln, err := socket.Listen(OperatorSocket(file.StateDir), 0o600); err != nil {
		d.log.Warn("operators have no socket of their own", "error", err)
	} else {
		d.listeners = append(slices.Clip(d.listeners), ln)
	}
	up := catalog.NewUpstream(file.Upstream, file.Limits.UpstreamCalls, d.calls, d.log)
	d.up.Store(up)
	d.engine, err = refresh.New(refresh.Config{
		Store:    d.store,
		Catalog:  catalog.New(file, up),
		Hosts:    catalog.Hosts(d.up.Load),
		Logger:   d.log.Named("refresh"),
		Boottime: boot.Clock(),
		Boot:     boot.ID(),
		Timeout:  catalog.CallLimit,
		Calls:    file.Limits.UpstreamCalls,
		Throttle: d.throttle,
		Ahead:    true,
	})
	if err != nil {
		return err
	}
	d.inbox = inbox.New(inbox.Config{Engine: d.engine, Logger: d.log.Named("inbox")})
	pushed, err := catalog.Owners(file)
	if err != nil {
		return err
	}
	d.inbox.SetOwners(pushed)
	if err := d.engine.ApplySeeds(context.Background(), catalog.Seeds(file)); err != nil {
		return err
	}
	if file.HTTP != nil {
		if d.http, err = web.Listen(file.HTTP.Listen); err != nil {
			return err
		}
	}
	d.server = server.New(server.Config{
		Engine:  view{d.engine, d.calls, d.inbox, d.logDropped},
		Sign:    fetchers.Sign,
		Inbox:   d.inbox,
		Backup:  d.backup,
		Reload:  d.cfg.Reload,
		Logger:  d.log.Named("server"),
		Audit:   d.audit(),
		Version: d.cfg.Version,
		Rules:   rules(file.Access),
		Subuids: d.cfg.Subuids,
		Limits:  limits(file),
	})
	if d.http != nil {
		d.web = d.newWeb()
	}
	return descriptors.Check(len(d.listeners))
}

// audit returns where the server's audit goes; nil for its own log.
func (d *Daemon) audit() hclog.Logger {
	if d.cfg.Audit == nil {
		return nil
	}
	return d.cfg.Audit.Named("server")
}

// logDropped returns how many lines of the log have been dropped.
func (d *Daemon) logDropped() int64 {
	if d.cfg.LogDropped == nil {
		return 0
	}
	return d.cfg.LogDropped()
}

// OperatorSocket returns where root and the daemon's own user have a socket to themselves: in the
// state directory, which nobody else can enter.
func OperatorSocket(stateDir string) string { return filepath.Join(stateDir, "operator.sock") }

// Run answers requests and refreshes credentials until ctx is done, and returns nil then. When
// it returns, nothing it started is running and the store is closed. It is called
// once.
func (d *Daemon) Run(ctx context.Context) error {
	// The engine outlives the socket: a request that is under way at the stop needs it.
	engineCtx, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	var engine errgroup.Group
	engine.Go(func() error { return d.engine.Run(engineCtx) })
	engine.Go(func() error {
		select {
		case <-d.engine.Loaded():
			footprint.Keep(engineCtx)
		case <-engineCtx.Done():
		}
		return nil
	})

	sockets, socketsCtx := errgroup.WithContext(ctx)
	sockets.Go(func() error {
		if err := d.store.Agree(socketsCtx); socketsCtx.Err() == nil {
			return err
		}
		return nil
	})
	for _, ln := range d.listeners {
		sockets.Go(func() error { return d.server.Serve(socketsCtx, ln) })
	}
	if d.http != nil {
		sockets.Go(func() error { return d.web.Serve(socketsCtx, d.http) })
	}
	sockets.Go(func() error {
		<-socketsCtx.Done()
		d.throttle.Lift() // what is under way ends as soon as it can
		if d.cfg.Stopping != nil {
			d.cfg.Stopping()
		}
		return nil
	})
	began := time.Now()
	d.log.Info("ready", "socket", d.listeners[0].Addr().String(), "accounts", d.file.Accounts(), "version", d.cfg.Version)
	if d.cfg.Ready != nil {
		d.cfg.Ready()
	}

	err := sockets.Wait()
	stopEngine()
	err = errors.Join(err, engine.Wait(), d.close())
	d.log.Info("stopped", "ran", time.Since(began).Round(time.Second))
	return err
}

// Close gives up a daemon that was never run.
func (d *Daemon) Close() error {
	var errs []error
	for _, ln := range d.listeners {
		errs = append(errs, ln.Close())
	}
	if d.http != nil {
		errs = append(errs, d.http.Close())
	}
	return errors.Join(append(errs, d.close())...)
}

// close gives up what the daemon holds besides its listeners.
func (d *Daemon) close() error {
	if up := d.up.Load(); up != nil {
		up.Close()
	}
	if d.store == nil {
		return nil
	}
	if err := d.store.Close(); err != nil {
		return fmt.Errorf("close the store: %w", err)
	}
	return nil
}

// limits returns the server's limits.
func limits(file *config.Config) server.Limits {
	l := file.Limits
	return server.Limits{MaxConns: l.MaxConnections, UserRate: l.RequestsPerSecond, MaxUserWaits: l.WaitingRequests, IdleTimeout: l.IdleTimeout}
}

// rules returns the access rules as the server takes them.
func rules(tables []config.Access) []access.Rule {
	var rs []access.Rule
	for _, a := range tables {
		rs = append(rs, access.Rule{UIDs: a.UIDs, GIDs: a.GIDs, Names: a.Names, Verbs: a.Verbs})
	}
	return rs
}

// view is the engine as the server wants it.
type view struct {
	*refresh.Engine
	calls *catalog.Calls
	inbox *inbox.Inbox

	logDropped func() int64
}

// Watch returns the engine's watch as the server's interface.
func (v view) Watch(prefix string, may func(string) bool) (int, iter.Seq[credential.Listing], server.Watch) {
	return v.Engine.Watch(prefix, may)
}

// Stats adds the calls of each endpoint, the pushes of each kind and the log's dropped lines.
func (v view) Stats() []credential.Stat {
	dropped := credential.Stat{Key: "log_dropped", Value: v.logDropped()}
	return append(slices.Concat(v.Engine.Stats(), v.calls.Stats(), v.inbox.Stats()), dropped)
}
