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

// maxHeader bounds a request's header, in bytes. A push has a few hundred; the longest part is
// the echostr of a verification, of which WeCom sends about 100.
const maxHeader = 8 << 10

// Server is the HTTP listener's side of the daemon, and an [http.Handler]. Make one with [New].
type Server struct {
	// Set by New, read-only after.
	cfg Config
	log hclog.Logger

	refusals refusals
	budget   budget         // for bodies that are not genuine
	large    chan struct{}  // a place for each large body that is held
	attempts chan struct{}  // a place for each call of the inbox that is under way
	views    chan struct{}  // a place for each page that is being made
	streams  chan struct{}  // a place for each page that is being written as it is made
	lookups  chan struct{}  // the one place for a look at whose connection one is
	work     sync.WaitGroup // those calls, pages and looks

	monitors  atomic.Pointer[Monitors]
	userOf    func(remote, local netip.AddrPort) (uid uint32, ok bool)
	lookAgain time.Time // when the next look may be taken; belongs to who has the place in lookups
}

// New returns a server that hands what is pushed to cfg.Inbox.
func New(cfg Config) *Server {
	cfg = cfg.complete()
	return &Server{
		cfg:      cfg,
		log:      cfg.Logger,
		large:    make(chan struct{}, maxLarge),
		attempts: make(chan struct{}, maxAttempts),
		views:    make(chan struct{}, maxViews),
		streams:  make(chan struct{}, maxStreams),
		lookups:  make(chan struct{}, 1),
		userOf:   userOf,
	}
}

// SetMonitors says from where the pages may be seen besides this host; nil for nowhere. m is the
// server's from then on.
func (s *Server) SetMonitors(m Monitors) { s.monitors.Store(&m) }

// Serve answers requests on the connections of ln until ctx ends, and returns nil then; it closes
// ln. Requests under way are answered, within the grace period. It returns an error only if ln
// fails for good. When it returns, no request is being served and nothing that it started is
// running: it waits even for a call of the inbox that its handler has given up. It is called once.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	conns := newConns(s.cfg.maxConns)
	srv := s.httpServer(context.WithoutCancel(ctx), conns)
	var stopper sync.WaitGroup
	stopper.Go(func() {
		<-ctx.Done()
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

// httpServer returns the HTTP of s. Requests get a context made of base, which does
// not end with the server: what is under way is to be finished.
func (s *Server) httpServer(base context.Context, conns *conns) *http.Server {
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: s.cfg.headerTimeout,
		ReadTimeout:       s.cfg.readTimeout,
		WriteTimeout:      s.cfg.writeTimeout,
		IdleTimeout:       s.cfg.idleTimeout,
		MaxHeaderBytes:    maxHeader,
		Protocols:         new(http.Protocols),
		// OPTIONS * would otherwise be answered 200 by net/http itself.
		DisableGeneralOptionsHandler: true,
		// What strangers can provoke is nothing that an operator has to read.
		ErrorLog:    s.log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
		ConnState:   conns.changed,
		BaseContext: func(net.Listener) context.Context { return base },
		ConnContext: withConn,
	}
	srv.Protocols.SetHTTP1(true)
	return srv
}

// crowded reports that a connection was closed to make room, or was not let in.
func (s *Server) crowded() {
	if n, ok := s.refusals.admit(reasonCrowded, time.Now()); ok {
		s.log.Warn("too many HTTP connections, closing the slowest", "limit", s.cfg.maxConns, "unreported", n)
	}
}
