package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"tokend/daemon/access"
	"tokend/daemon/alias"
	"tokend/daemon/server/descriptors"
	"tokend/daemon/server/socket"
)

// Server answers requests on connections. Make one with New. Its methods may be called
// concurrently.
type Server struct {
	// Set by New, read-only after.
	cfg   Config
	log   hclog.Logger
	began time.Time // the zero of clock

	rules    atomic.Pointer[access.Rules]
	limits   atomic.Pointer[settings]
	aliases  atomic.Pointer[alias.Table]
	users    users
	audit    audit
	outs     sync.Pool     // of *[]byte, empty: buffers for replies
	backups  gauge         // being made or sent
	counters gauge         // of readers, that the server has added to credentials
	open     atomic.Int64  // connections being served, operators' among them
	spent    bucket        // of log lines about missing descriptors
	full     bucket        // of log lines about too many connections
	faults   atomic.Uint32 // the number of the last fault: what ties a reply to the log

	reports bucket // of log lines about faults, of all users together

	// refusing counts the refused connections that are read until their peers have read why.
	refusing atomic.Int64

	foreign foreign
	clients atomic.Int64 // the last number that a connection was given
}

// New returns a server that asks cfg.Engine.
func New(cfg Config) *Server {
	cfg = cfg.complete()
	s := &Server{cfg: cfg, log: cfg.Logger, began: time.Now().Add(-epoch)}
	s.users.self = uint32(os.Geteuid())
	s.audit.log = cfg.Audit.Named("audit")
	s.outs.New = func() any { return new(make([]byte, 0, 1<<10)) }
	s.SetAliases(cfg.Aliases)
	s.SetRules(cfg.Rules)
	s.SetLimits(cfg.Limits)
	s.ReadSubuids()
	s.faults.Store(rand.Uint32()) // so that two runs do not write the same numbers to one log
	return s
}

// SetRules replaces the access rules, for new connections and for the next request of open ones.
func (s *Server) SetRules(rules []access.Rule) {
	if old := s.rules.Swap(access.Compile(s.users.self, rules)); old != nil {
		old.Replace()
	}
}

// SetAliases replaces the aliases, for the next request of each connection. Subscriptions follow
// with the next SetRules.
func (s *Server) SetAliases(all []alias.Alias) { s.aliases.Store(alias.Compile(all)) }

// epoch is the clock's time when the server is made. It is longer than any bucket takes to fill, so
// all are full.
const epoch = time.Hour

// clock returns the time that allowances are based on. It is monotonic, and stops while the machine
// sleeps.
func (s *Server) clock() time.Duration { return time.Since(s.began) }

// Serve answers requests on the connections of ln until ctx ends. Then it closes ln and idle
// connections, answers the requests in progress (see the package's documentation), and returns nil.
// It returns an error only if ln fails for good. When it returns, nothing that it started is
// running. It may be called for several listeners at once.
//
// A socket file of [socket.Listen] that is deleted or renamed is created again within seconds.
//
// On Linux, an event loop serves a [socket.Listener]. Go's scheduler does not know of its system
// calls. If GOMAXPROCS is 1, all other goroutines wait for a busy loop until it is preempted. Set
// GOMAXPROCS to 4, on a single processor too: the loop, a walk through all credentials and the
// garbage collector then wait only for the processor.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	own, ok := ln.(*socket.Listener)
	if !ok || !own.Removable() {
		return s.serve(ctx, ln)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.serveAgain(ctx, g, own) })
	return g.Wait()
}

// serve is Serve without [socket.Listener.Recreate].
func (s *Server) serve(ctx context.Context, ln net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	conns := &conns{}
	var handlers, closer sync.WaitGroup
	c := s.carrier(ctx, stop, ln, conns, handlers.Go)
	defer c.close()
	handled := make(chan struct{})
	closer.Go(func() {
		<-ctx.Done()
		_ = ln.Close()
		c.wake()
		s.dismiss(conns, handled)
	})
	err := c.run()
	stop()
	handlers.Wait()
	close(handled)
	closer.Wait()
	return err
}

// carrier serves the connections of one listener.
type carrier interface {
	// run serves until ctx ends. It returns an error if the listener has failed for good.
	run() error

	// wake is called after ctx has ended and the listener has been closed.
	wake()

	// close is called when nothing that the carrier has started is running.
	close()
}

// carrier returns an event loop if the system and ln allow one, and otherwise a goroutine for each
// connection. stop ends ctx.
func (s *Server) carrier(ctx context.Context, stop func(), ln net.Listener, conns *conns, start func(func())) carrier {
	if !s.cfg.noLoop {
		if l := s.loop(ctx, stop, ln, conns, start); l != nil {
			return l
		}
	}
	return &goroutines{s, ctx, ln, conns, start}
}

// goroutines is a carrier with a goroutine for each connection.
type goroutines struct {
	server *Server
	ctx    context.Context
	ln     net.Listener
	conns  *conns
	start  func(func())
}

func (g *goroutines) run() error {
	spares := descriptors.NewReserve()
	defer spares.Close()
	return g.server.accept(g.ctx, g.ln, spares, func(nc net.Conn) { g.server.admit(g.ctx, nc, g.conns, spares, g.start) })
}

func (g *goroutines) wake()  {}
func (g *goroutines) close() {}

// dismiss ends the connections: it wakes those that wait for requests, and cuts those that are left
// after the grace period.
func (s *Server) dismiss(conns *conns, handled <-chan struct{}) {
	conns.stop()
	grace := time.NewTimer(s.cfg.gracePeriod)
	defer grace.Stop()
	select {
	case <-handled:
	case <-grace.C:
		if n := conns.cut(); n > 0 {
			s.log.Warn("connections cut after the grace period", "connections", n)
		}
	}
}

// admit decides whether an accepted connection is served, and starts serving it. The next
// connection is accepted afterwards, so refused ones never hold more than a descriptor or two.
// admit does not wait.
func (s *Server) admit(ctx context.Context, nc net.Conn, conns *conns, spares *descriptors.Reserve, start func(func())) {
	peer, err := s.cfg.peerOf(nc)
	if err != nil {
		s.notKnown(err)
		_ = nc.Close()
		return
	}
	at, err := s.decide(peer, spares.Free(socket.Descriptor(nc)), spares, func(c *conn) bool { return !c.borrowed && socket.Quiet(c.nc) })
	if at.evicted != nil {
		_ = at.evicted.nc.Close() // which ends its read
		if s.maySayFull() {
			s.sayFull(at.evicted.session.user.uid)
		}
	}
	switch {
	case err == nil:
		start(func() {
			c := newConn(s, nc, at.peer, at.user)
			defer s.leave(at, c)
			s.handle(ctx, c, conns)
		})
	case errors.Is(err, errTooMany) && s.mayRefuseBusy():
		start(func() {
			defer s.refusing.Add(-1)
			c := newConn(s, nc, at.peer, at.user)
			defer c.close()
			s.closed(c, s.host(c, conns, func() error { return s.refuseBusy(c) }))
		})
	case errors.Is(err, errTooMany), errors.Is(err, errSpent):
		if s.maySaySpent(err) {
			s.saySpent()
		}
		dismissBriefly(nc)
		spares.Refill()
	}
}

func (s *Server) notKnown(err error) {
	s.log.Warn("connection refused: peer unknown", "error", err)
}

// admission is the decision to serve a connection.
type admission struct {
	peer    access.Peer
	user    *user
	spares  *descriptors.Reserve // whose spare it uses; nil for none
	evicted *conn                // an idle connection to be closed for it; nil for none
}

// decide decides whether a connection of peer is served while left descriptors are free. If it is,
// the caller calls leave at its end. Otherwise the error is errTooMany or errSpent. may reports
// whether an idle connection can be closed for it.
func (s *Server) decide(peer access.Peer, left int, spares *descriptors.Reserve, may func(*conn) bool) (admission, error) {
	if left < descriptors.Daemon+descriptors.Operators {
		may = nil // it will be refused anyway
	}
	u, evicted, ok := s.users.enter(peer.UID, s.limits.Load().conns, may)
	at := admission{peer: peer, user: u, evicted: evicted}
	switch {
	case !ok:
		u.stats.failed(0, errTooMany.Code)
		if left < descriptors.Daemon+descriptors.Operators {
			return at, errSpent
		}
		return at, errTooMany
	case !u.operator:
		ok = left >= descriptors.Daemon+descriptors.Operators && spares.Refill() // the spares are for operators
	case left >= descriptors.Daemon:
		spares.Refill()
	default:
		if ok = spares.Lend(); ok {
			at.spares = spares
		}
	}
	if !ok {
		s.users.leave(u, nil)
		u.stats.failed(0, errTooMany.Code)
		return at, errSpent
	}
	s.open.Add(1)
	return at, nil
}

// errSpent says that the descriptors that are left are kept for operators or for the daemon itself.
var errSpent = errors.New("too few descriptors")

// maySaySpent reports whether to log that connections are refused because of err.
func (s *Server) maySaySpent(err error) bool {
	return errors.Is(err, errSpent) && s.spent.allow(s.clock(), warnLines)
}

func (s *Server) saySpent() {
	s.log.Warn("connections refused: too few descriptors left; raise the limit (LimitNOFILE=)", "limit", descriptors.Limit())
}

// maySayFull reports whether to log that the limit of connections has been reached.
func (s *Server) maySayFull() bool { return s.full.allow(s.clock(), warnLines) }

// sayFull logs the user whose connection has been closed.
func (s *Server) sayFull(uid uint32) {
	s.log.Warn("too many connections: closing idle ones of the user with the most", "uid", uid, "limit", s.limits.Load().conns)
}

// leave ends an admission. c is the connection.
func (s *Server) leave(at admission, c *conn) {
	if at.spares != nil {
		at.spares.Return()
	}
	s.users.leave(at.user, c)
	s.open.Add(-1)
}

// handle serves one connection from its first byte to its close.
func (s *Server) handle(ctx context.Context, c *conn, conns *conns) {
	defer c.close()
	s.closed(c, s.host(c, conns, func() error { return c.serve(ctx, c.session.greet()) }))
}

// errBroken ends a connection after a panic, which has been logged.
var errBroken = errors.New("internal error")

// host runs f for c while c is one of conns. A panic of f ends only that connection.
func (s *Server) host(c *conn, conns *conns, f func() error) (err error) {
	defer s.recover()
	conns.add(c)
	defer conns.remove(c)
	err = errBroken // unless f returns
	err = f()
	return err
}

// closed logs the end of c, and the reason.
func (s *Server) closed(c *conn, err error) {
	peer := &c.session.peer
	switch {
	case !ordinary(err):
		s.log.Debug("connection failed", "uid", peer.UID, "pid", peer.PID, "error", err)
	case s.log.IsTrace(): // checked first, because formatting would slow down clients that connect for each request
		s.log.Trace("connection closed", "uid", peer.UID, "pid", peer.PID, "error", err)
	}
}

// recover is deferred: it logs a panic that ends a connection.
func (s *Server) recover() {
	if fault := recover(); fault != nil {
		s.report(fault)
	}
}

// report logs a panic. It logs a runtime error's text. Of anything else it logs only the type,
// because the text might contain a value. The stack contains addresses, and not the texts at them.
func (s *Server) report(fault any) {
	what := fmt.Sprintf("%T", fault)
	if err, ok := fault.(runtime.Error); ok {
		what = err.Error()
	}
	s.log.Error("connection failed: internal error", "panic", what, "stack", string(debug.Stack()))
}

// maxRefusing bounds the refused connections that are read until their peers have read why. Others
// are closed at once: a peer that is still writing may get a broken pipe instead of the reply.
const maxRefusing = 64

// mayRefuseBusy reports whether one more refused connection may be read. If so, the caller
// decrements refusing at the end.
func (s *Server) mayRefuseBusy() bool {
	if s.refusing.Add(1) > maxRefusing {
		s.refusing.Add(-1)
		return false
	}
	return true
}

// refuseBusy answers BUSY before the peer of c has sent a request.
func (s *Server) refuseBusy(c *conn) error {
	if c.session.mayNote(&c.session.user.denials, denialLines) {
		c.session.note(hclog.Warn, connect, "-", string(errTooMany.Code))
	}
	c.session.out = crowdedReply()
	err := c.flush()
	if err == nil {
		c.linger()
	}
	return err
}

// briefly is how long writing the reply to a refused connection may take. A new socket takes a line
// at once; other transports may not. On a busy host, as much may pass before the write begins.
const briefly = 250 * time.Millisecond

// dismissBriefly answers BUSY, if that takes no time, and closes.
func dismissBriefly(nc net.Conn) {
	_ = nc.SetWriteDeadline(time.Now().Add(briefly))
	_, _ = nc.Write(crowdedReply())
	_ = nc.Close()
}
