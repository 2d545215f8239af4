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
	"tokend/daemon/server/descriptors"
	"tokend/daemon/server/socket"
)

// Server answers requests on connections. Make one with New. Its methods may be
// called concurrently.
type Server struct {
	// Set by New, read-only after.
	cfg   Config
	log   hclog.Logger
	began time.Time // the zero of clock

	rules    atomic.Pointer[access.Rules]
	limits   atomic.Pointer[settings]
	users    users
	audit    audit
	outs     sync.Pool     // of *[]byte, empty: room for replies
	backups  gauge         // being made or sent
	counters gauge         // of readers, that the server has added to credentials
	open     atomic.Int64  // connections being served, operators' among them
	spent    bucket        // of lines that say that descriptors are running out
	full     bucket        // of lines that say that the socket is full
	faults   atomic.Uint32 // the number of the last fault: what ties a reply to the log

	reports bucket // of lines about faults, of all users together

	// turnaways are connections that are being told, at leisure, that there are too many.
	turnaways atomic.Int64
}

// New returns a server that asks cfg.Engine.
func New(cfg Config) *Server {
	cfg = cfg.complete()
	s := &Server{cfg: cfg, log: cfg.Logger, began: time.Now().Add(-epoch)}
	s.users.self = uint32(os.Geteuid())
	s.audit.log = cfg.Audit.Named("audit")
	s.outs.New = func() any { return new(make([]byte, 0, 1<<10)) }
	s.SetRules(cfg.Rules)
	s.SetLimits(cfg.Limits)
	s.ReadSubuids()
	s.faults.Store(rand.Uint32()) // so that two runs do not write the same numbers to one log
	return s
}

// SetRules puts other access rules into force: for new connections, and for the next
// request of each that is open.
func (s *Server) SetRules(rules []access.Rule) {
	if old := s.rules.Swap(access.Compile(s.users.self, rules)); old != nil {
		old.Replace()
	}
}

// epoch is what clock shows when the server is made: longer than any bucket takes to fill, so
// that all are full.
const epoch = time.Hour

// clock is the time that allowances are counted by. It is steady, and stands still while the
// machine sleeps.
func (s *Server) clock() time.Duration { return time.Since(s.began) }

// Serve answers requests on the connections of ln until ctx ends; it closes ln.
// Then idle connections are closed at once, what is under way is answered (see
// the package's documentation), and Serve returns nil. It returns an error
// only if ln fails for good. When it returns, no request is being served and nothing that
// it started is running. It may be called for several listeners at once.
//
// A socket file of [socket.Listen] that is deleted or renamed is created again within seconds.
//
// On Linux, a [socket.Listener] is served by an event loop, which makes system calls
// that Go's scheduler does not hear of: where GOMAXPROCS is 1, all else waits for a busy loop until
// it is preempted. Give it 4, on a single processor too: the loop, a walk through all credentials and
// the garbage collector then never wait for one another but for the processor itself.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	own, ok := ln.(*socket.Listener)
	if !ok || !own.Removable() {
		return s.serve(ctx, ln)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.serveAgain(ctx, g, own) })
	return g.Wait()
}

// serve is Serve for ln alone.
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
	// run serves until ctx ends. Its error is why the listener has failed for good.
	run() error

	// wake says that ctx has ended and that the listener is closed.
	wake()

	// close is called when nothing is running any more that the carrier has started.
	close()
}

// carrier returns an event loop where the system and ln have what it needs, and otherwise a
// goroutine for each connection. stop ends ctx.
func (s *Server) carrier(ctx context.Context, stop func(), ln net.Listener, conns *conns, start func(func())) carrier {
	if !s.cfg.noLoop {
		if l := s.loop(ctx, stop, ln, conns, start); l != nil {
			return l
		}
	}
	return &goroutines{s, ctx, ln, conns, start}
}

// goroutines has one for each connection.
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

// dismiss ends the connections: it wakes those that wait for requests, and cuts what is
// left after the grace period.
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

// admit decides whether a connection that has been accepted is served, and starts that. It does so
// before the next one is accepted, so that what is refused never holds more than a descriptor or
// two however fast it comes; nothing that it does waits for anybody.
func (s *Server) admit(ctx context.Context, nc net.Conn, conns *conns, spares *descriptors.Reserve, start func(func())) {
	peer, err := s.cfg.peerOf(nc)
	if err != nil {
		s.notKnown(err)
		_ = nc.Close()
		return
	}
	seat, err := s.judge(peer, spares.Free(socket.Descriptor(nc)), spares, func(c *conn) bool { return !c.borrowed && socket.Quiet(c.nc) })
	if seat.ousted != nil {
		_ = seat.ousted.nc.Close() // which ends its read
		if s.maySayFull() {
			s.sayFull(seat.ousted.session.user.uid)
		}
	}
	switch {
	case err == nil:
		start(func() {
			c := newConn(s, nc, seat.peer, seat.user)
			defer s.leave(seat, c)
			s.handle(ctx, c, conns)
		})
	case errors.Is(err, errTooMany) && s.mayTurnAway():
		start(func() {
			defer s.turnaways.Add(-1)
			c := newConn(s, nc, seat.peer, seat.user)
			defer c.close()
			s.closed(c, s.host(c, conns, func() error { return s.turnAway(c) }))
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
	s.log.Warn("connection refused: its peer is not known", "error", err)
}

// seat is a connection's place among those that are served.
type seat struct {
	peer   access.Peer
	user   *user
	spares *descriptors.Reserve // whose place it has; nil for none
	ousted *conn                // has lost its place to it, and is to be closed; nil for none
}

// judge decides whether a connection of peer is served, where left descriptors are free. If it is,
// the seat is taken until leave. Otherwise the error is errTooMany or errSpent. may says which
// connections can be closed for it.
func (s *Server) judge(peer access.Peer, left int, spares *descriptors.Reserve, may func(*conn) bool) (seat, error) {
	if left < descriptors.Daemon+descriptors.Operators {
		may = nil // it would be refused all the same
	}
	u, ousted, ok := s.users.enter(peer.UID, s.limits.Load().room, may)
	at := seat{peer: peer, user: u, ousted: ousted}
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

// errSpent says that the descriptors that are left are for others: for operators, or for the daemon
// itself.
var errSpent = errors.New("too few descriptors")

// maySaySpent reports whether the log is to say that connections are refused because of err.
func (s *Server) maySaySpent(err error) bool {
	return errors.Is(err, errSpent) && s.spent.allow(s.clock(), warnLines)
}

func (s *Server) saySpent() {
	s.log.Warn("connections are refused, too few descriptors are left: raise the limit (LimitNOFILE=)", "limit", descriptors.Limit())
}

// maySayFull reports whether the log is to say that there is no room for connections.
func (s *Server) maySayFull() bool { return s.full.allow(s.clock(), warnLines) }

// sayFull names the user whose connection has been closed.
func (s *Server) sayFull(uid uint32) {
	s.log.Warn("the socket is full: closing idle connections of the user with the most connections", "uid", uid, "limit", s.limits.Load().room)
}

// leave ends what judge has begun. c is the connection.
func (s *Server) leave(at seat, c *conn) {
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

// errBroken is how a connection ends by a fault of tokend's. It has been logged.
var errBroken = errors.New("a fault of tokend's")

// host runs f for c, which conns knows of meanwhile, and keeps a fault of f to that connection.
func (s *Server) host(c *conn, conns *conns, f func() error) (err error) {
	defer s.recover()
	conns.add(c)
	defer conns.remove(c)
	err = errBroken // unless f returns
	err = f()
	return err
}

// closed says that c is over, and why.
func (s *Server) closed(c *conn, err error) {
	peer := &c.session.peer
	switch {
	case !ordinary(err):
		s.log.Debug("connection failed", "uid", peer.UID, "pid", peer.PID, "error", err)
	case s.log.IsTrace(): // asked first, since a client that connects for each request would pay for the words all the same
		s.log.Trace("connection closed", "uid", peer.UID, "pid", peer.PID, "error", err)
	}
}

// recover is to be deferred: it logs the fault that ends a connection, and keeps it to that
// connection.
func (s *Server) recover() {
	if fault := recover(); fault != nil {
		s.report(fault)
	}
}

// report logs a fault. Of what was thrown only the runtime's own words are logged, and the type
// of anything else, which might hold a value. The stack holds addresses, not the texts that are at
// them.
func (s *Server) report(fault any) {
	what := fmt.Sprintf("%T", fault)
	if err, ok := fault.(runtime.Error); ok {
		what = err.Error()
	}
	s.log.Error("a connection failed by a fault of tokend's", "panic", what, "stack", string(debug.Stack()))
}

// maxTurnaways bounds how many connections for which there is no room are waited for until they
// have said what they had to say. Others are told in a hurry: one that is still writing may
// learn of it by a broken pipe.
const maxTurnaways = 64

// mayTurnAway reports whether one more may be waited for. Whoever is told so takes one from
// turnaways in the end.
func (s *Server) mayTurnAway() bool {
	if s.turnaways.Add(1) > maxTurnaways {
		s.turnaways.Add(-1)
		return false
	}
	return true
}

// turnAway answers BUSY to whatever the peer of c is about to ask.
func (s *Server) turnAway(c *conn) error {
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

// briefly is how long a peer that is sent away in a hurry may take to be told. A socket that was
// connected just now takes a line at once; other transports may not.
const briefly = 10 * time.Millisecond

// dismissBriefly tells the peer that there is no room, if that takes no time, and closes.
func dismissBriefly(nc net.Conn) {
	_ = nc.SetWriteDeadline(time.Now().Add(briefly))
	_, _ = nc.Write(crowdedReply())
	_ = nc.Close()
}
