package web

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

// maxHeader bounds a request's header, in bytes. A push has a few hundred. The longest part is the
// echostr of a verification, about 100 bytes from WeCom.
const maxHeader = 8 << 10

// Server is the HTTP side of the daemon and an [http.Handler]. Create a Server with [New].
type Server struct {
	// Set by New, read-only after.
	cfg Config
	log hclog.Logger

	refusals  refusals
	budget    budget          // for bodies that are not genuine
	large     chan struct{}   // a slot for each large body in memory
	attempts  chan struct{}   // a slot for each active call of the inbox
	views     chan struct{}   // a slot for each page being rendered
	streams   chan struct{}   // a slot for each page being written while it is rendered
	followers chan struct{}   // a slot for each client that receives events
	stopping  context.Context // ends when a stop begins
	stop      func()
	work      sync.WaitGroup // active calls and pages

	monitors atomic.Pointer[Monitors]
	userOf   func(remote, local netip.AddrPort) (uid uint32, err error)
}

// New returns a server that passes pushes to cfg.Inbox.
func New(cfg Config) *Server {
	cfg = cfg.complete()
	stopping, stop := context.WithCancel(context.Background())
	return &Server{
		followers: make(chan struct{}, maxEvents),
		stopping:  stopping,
		stop:      stop,
		cfg:       cfg,
		log:       cfg.Logger,
		large:     make(chan struct{}, maxLarge),
		attempts:  make(chan struct{}, maxAttempts),
		views:     make(chan struct{}, maxViews),
		streams:   make(chan struct{}, maxStreams),
		userOf:    userOf,
	}
}

// SetMonitors sets the addresses from which the pages may be seen by any user; nil for none.
// The server keeps m.
func (s *Server) SetMonitors(m Monitors) { s.monitors.Store(&m) }

// Serve answers requests on the connections of ln until ctx ends, then closes ln and returns nil.
// Active requests are answered within the grace period. Serve returns an error only if ln fails
// permanently. When Serve returns, no request is active and nothing that it started is running. It
// also waits for calls of the inbox that their handlers abandoned. It is called once.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	conns := newConns(s.cfg.maxConns)
	srv := s.httpServer(context.WithoutCancel(ctx), conns)
	var stopper sync.WaitGroup
	stopper.Go(func() {
		<-ctx.Done()
		s.stop()
		_ = ln.Close()
		srv.SetKeepAlivesEnabled(false)
		conns.dismiss()
	})
	err := srv.Serve(&listener{Listener: ln, conns: conns, crowded: s.crowded})
	if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		err = nil
	}
	stop()
	stopper.Wait()
	if n := conns.drain(s.cfg.gracePeriod); n > 0 {
		s.log.Warn("connections cut after the grace period", "connections", n)
	}
	s.work.Wait()
	return err
}

// httpServer returns the http.Server of s. Requests get a context derived from base, which is not
// canceled when the server stops, so that active requests can finish.
func (s *Server) httpServer(base context.Context, conns *conns) *http.Server {
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: s.cfg.headerTimeout,
		ReadTimeout:       s.cfg.readTimeout,
		WriteTimeout:      s.cfg.writeTimeout,
		IdleTimeout:       s.cfg.idleTimeout,
		MaxHeaderBytes:    maxHeader,
		Protocols:         new(http.Protocols),
		// net/http would otherwise answer OPTIONS * with 200.
		DisableGeneralOptionsHandler: true,
		// Errors that strangers can provoke are of no interest to an operator.
		ErrorLog:    s.log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
		ConnState:   conns.changed,
		BaseContext: func(net.Listener) context.Context { return base },
		ConnContext: withConn,
	}
	srv.Protocols.SetHTTP1(true)
	return srv
}

// crowded logs that a connection was evicted or rejected because of the bound.
func (s *Server) crowded() {
	if n, ok := s.refusals.admit(reasonCrowded, time.Now()); ok {
		s.log.Warn("too many HTTP connections, closing the slowest", "limit", s.cfg.maxConns, "unreported", n)
	}
}
