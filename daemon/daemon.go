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
	"tokend/daemon/memlock"
	"tokend/daemon/refresh"
	"tokend/daemon/server"
	"tokend/daemon/server/descriptors"
	"tokend/daemon/server/socket"
	"tokend/daemon/store"
	"tokend/daemon/throttle"
	"tokend/daemon/web"
	"tokend/fetchers"
)

// Config configures a [Daemon]. File is required.
type Config struct {
	// File is the configuration.
	File *config.Config

	// Logger receives log lines, without secrets; nil for none.
	Logger hclog.Logger

	// Audit, if not nil, receives the audit log in place of Logger.
	Audit hclog.Logger

	// LogDropped, if not nil, returns the number of log lines dropped.
	LogDropped func() int64

	// Version is the reply to VERSION.
	Version string

	// Listeners are sockets that another process has bound, such as systemd. The daemon closes them
	// on stop and does not remove their files. If empty, the daemon listens at the configured path.
	Listeners []net.Listener

	// Subuids is the file of the host's subordinate uids, see [server.Config]; "" for none. Each
	// reload reads it again.
	Subuids string

	// Reload, if not nil, is called for each RELOAD. It must read the configuration and call
	// [Daemon.Reload]. Operators see its error as one line. If nil, RELOAD is refused.
	Reload func(context.Context) error

	// Ready, if not nil, is called once when the daemon answers requests. Stopping, if not nil, is
	// called once when a stop has begun.
	Ready, Stopping func()
}

// Daemon is a running tokend. Make one with [New].
type Daemon struct {
	// Set by New, read-only after.
	cfg       Config
	log       hclog.Logger
	store     *store.Store
	engine    *refresh.Engine
	server    *server.Server
	inbox     *inbox.Inbox
	listeners []net.Listener
	http      endpoint // of callbacks
	pages     endpoint
	calls     *catalog.Calls
	throttle  *throttle.Budget // of long work
	began     time.Time
	loaded    atomic.Int64 // when file was read, in Unix nanoseconds
	named     atomic.Bool  // metrics have series for each credential and account
	monitors  atomic.Pointer[web.Monitors]
	running   atomic.Bool  // Run has begun, and no stop has
	saved     atomic.Int64 // when the last complete backup was sent, in Unix seconds; 0 for never

	reload sync.Mutex // serializes Reload; guards file
	file   *config.Config
	up     atomic.Pointer[catalog.Upstream] // replaced by Reload
}

// New opens the store and the socket. It does not answer requests yet. It returns an error, and
// changes nothing, if another daemon runs, a foreign file is at the socket's path, the key is
// wrong, or other users can read the state directory.
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
	// Check the socket first, so that a second daemon fails because of the socket and not because
	// of the lock on the store. Bind it only once the store is open, so that a wrong key does not
	// remove a stale socket.
	for _, ln := range d.cfg.Listeners {
		d.listeners = append(d.listeners, socket.Adopt(ln))
	}
	if len(d.listeners) == 0 {
		if err := socket.Vacant(file.Socket); err != nil {
			return err
		}
	}
	var key []byte // nil: the store is not encrypted
	if file.EncryptionKey != "" {
		memlock.Text(file.EncryptionKey)
		key = []byte(file.EncryptionKey)
	}
	d.store, err = store.Open(store.Config{Dir: file.StateDir, Key: key, Logger: d.log.Named("store"), Ahead: true})
	if err != nil {
		return err
	}
	d.readBackupTime()
	if len(d.listeners) == 0 {
		ln, err := socket.Listen(file.Socket, file.SocketMode)
		if err != nil {
			return err
		}
		d.listeners = []net.Listener{ln}
	}
	// A flood of the shared socket cannot fill the kernel's queue of the operators' socket. Without
	// the operators' socket, the shared socket still reserves connections for operators.
	if ln, err := socket.Listen(OperatorSocket(file.StateDir), 0o600); err != nil {
		d.log.Warn("cannot open the operators' socket", "error", err)
	} else {
		d.listeners = append(slices.Clip(d.listeners), ln)
	}
	up := catalog.NewUpstream(file.Upstream, file.Limits.UpstreamCalls, d.calls, d.log)
	d.up.Store(up)
	d.engine, err = refresh.New(refresh.Config{
		Store:    d.store,
		Catalog:  catalog.New(file, up, nil),
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
	if err := d.engine.ApplySeeds(context.Background(), catalog.Seeds(file, nil)); err != nil {
		return err
	}
	d.server = server.New(server.Config{
		Engine:   view{d.engine, d},
		Sign:     fetchers.Sign,
		Throttle: d.throttle,
		Inbox:    d.inbox,
		Backup:   d.backup,
		Sent:     d.backedUp,
		Reload:   d.cfg.Reload,
		Logger:   d.log.Named("server"),
		Audit:    d.audit(),
		Version:  d.cfg.Version,
		Rules:    rules(file.Access),
		Aliases:  file.Aliases,
		Subuids:  d.cfg.Subuids,
		Limits:   limits(file),
	})
	d.setPages(file.Pages)
	moves, err := d.prepare(file)
	if err != nil {
		return err
	}
	moves.apply()
	return descriptors.Check(len(d.listeners))
}

// audit returns the logger of the server's audit; nil for the server's own log.
func (d *Daemon) audit() hclog.Logger {
	if d.cfg.Audit == nil {
		return nil
	}
	return d.cfg.Audit.Named("server")
}

// logDropped returns the number of log lines dropped.
func (d *Daemon) logDropped() int64 {
	if d.cfg.LogDropped == nil {
		return 0
	}
	return d.cfg.LogDropped()
}

// OperatorSocket returns the path of the socket for root and the daemon's own user. It is in the
// state directory, which other users cannot enter.
func OperatorSocket(stateDir string) string { return filepath.Join(stateDir, "operator.sock") }

// Run answers requests and refreshes credentials until ctx is done, and then returns nil. When Run
// returns, all its goroutines have ended and the store is closed. It must be called once only.
func (d *Daemon) Run(ctx context.Context) error {
	// The engine outlives the socket, because requests in flight during a stop need it.
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
	sockets.Go(func() error { return d.http.run(socketsCtx) })
	sockets.Go(func() error { return d.pages.run(socketsCtx) })
	d.running.Store(true)
	sockets.Go(func() error {
		<-socketsCtx.Done()
		d.running.Store(false)
		d.throttle.Lift() // long work in flight finishes at full speed
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

// Close releases a daemon whose Run was never called.
func (d *Daemon) Close() error {
	var errs []error
	for _, ln := range d.listeners {
		errs = append(errs, ln.Close())
	}
	d.http.close()
	d.pages.close()
	return errors.Join(append(errs, d.close())...)
}

// close closes everything except the listeners.
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

// rules converts access rules for the server.
func rules(tables []config.Access) []access.Rule {
	var rs []access.Rule
	for _, a := range tables {
		rs = append(rs, access.Rule{UIDs: a.UIDs, GIDs: a.GIDs, Names: a.Names, Verbs: a.Verbs})
	}
	return rs
}

// view adapts the engine to the server's interface.
type view struct {
	*refresh.Engine
	daemon *Daemon
}

// Watch adapts the result of the engine's method.
func (v view) Watch(work *throttle.Work, prefix string, may func(string) bool) (int, iter.Seq[credential.Listing], server.Watch) {
	return v.Engine.Watch(work, prefix, may)
}

// Subscribe adapts the result of the engine's method.
func (v view) Subscribe(prefix string) server.Watch { return v.Engine.Subscribe(prefix) }

// Status adds the refused pushes of a pushed ticket.
func (v view) Status(name string) (credential.Status, error) {
	st, err := v.Engine.Status(name)
	if err == nil && st.Pushed {
		refused := v.daemon.inbox.Refused(credential.OwnerOf(name))
		st.Refused = &refused
	}
	return st, err
}

// Stats adds counters of calls per endpoint, pushes per kind and dropped log lines, and the times
// of the start and the last backup.
func (v view) Stats() []credential.Stat {
	d := v.daemon
	own := []credential.Stat{{Key: "log_dropped", Value: d.logDropped()}, {Key: "started", Value: d.began.Unix()}}
	if at := d.saved.Load(); at != 0 {
		own = append(own, credential.Stat{Key: "last_backup", Value: at})
	}
	return slices.Concat(v.Engine.Stats(), d.calls.Stats(), d.inbox.Stats(), own)
}
