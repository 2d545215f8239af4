package server

import (
	"context"
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

	"tokend/protocol"
)

// Server answers requests on connections. Make one with New. Its methods may be
// called concurrently.
type Server struct {
	// Set by New, read-only after.
	cfg   Config
	log   hclog.Logger
	room  int       // connections that may be open, operators' not counted
	pace  rate      // of a user's requests
	began time.Time // the zero of clock

	access  atomic.Pointer[access]
	users   users
	usage   usage
	audit   audit
	outs    sync.Pool     // of *[]byte, empty: room for replies
	backups gauge         // being made or sent
	open    atomic.Int64  // connections being served, operators' among them
	faults  atomic.Uint32 // the number of the last fault: what ties a reply to the log

	// turnaways are connections that are being told, at leisure, that there are too many.
	turnaways atomic.Int64
}

// New returns a server that asks cfg.Engine.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, log: cfg.logger(), room: roomFor(cfg.maxConns()), pace: cfg.pace(), began: time.Now().Add(-epoch)}
	s.users.self = uint32(os.Geteuid())
	s.audit.log = s.log.Named("audit")
	s.outs.New = func() any { return new(make([]byte, 0, 1<<10)) }
	s.SetRules(cfg.Rules)
	s.faults.Store(rand.Uint32()) // so that two runs do not write the same numbers to one log
	return s
}

// SetRules puts other access rules into force: for new connections, and for the next
// request of each that is open.
func (s *Server) SetRules(rules []Rule) {
	s.access.Store(newAccess(s.users.self, rules))
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
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	conns := &conns{}
	var handlers, closer sync.WaitGroup
	handled := make(chan struct{})
	closer.Go(func() {
		<-ctx.Done()
		_ = ln.Close()
		s.dismiss(conns, handled)
	})
	spares := newSpares()
	defer spares.close()
	err := s.accept(ctx, ln, spares, func(nc net.Conn) { s.admit(ctx, nc, conns, spares, handlers.Go) })
	stop()
	handlers.Wait()
	close(handled)
	closer.Wait()
	return err
}

// dismiss ends the connections: it wakes those that wait for requests, and cuts what is
// left after the grace period.
func (s *Server) dismiss(conns *conns, handled <-chan struct{}) {
	conns.stop()
	grace := time.NewTimer(s.cfg.gracePeriod())
	defer grace.Stop()
	select {
	case <-handled:
	case <-grace.C:
		if n := conns.cut(); n > 0 {
			s.log.Warn("connections cut after the grace period", "connections", n)
		}
	}
}

// admit decides whether a connection that has been accepted is served, and starts that. It does so before
// the next one is accepted, so that what is refused never holds more than a descriptor or
// two however fast it comes; nothing that it does waits for anybody.
func (s *Server) admit(ctx context.Context, nc net.Conn, conns *conns, spares *spares, start func(func())) {
	peer, err := s.cfg.peer(nc)
	if err != nil {
		s.log.Warn("connection refused: its peer is not known", "error", err)
		_ = nc.Close()
		return
	}
	u, ok := s.users.enter(peer.UID, s.room)
	switch {
	case !ok:
		s.turnAway(nc, peer, u, conns, start)
	case !spares.refill() && !u.operator: // the spares are for operators
		s.users.leave(u)
		dismissBriefly(nc)
		spares.refill()
	default:
		s.open.Add(1)
		start(func() {
			defer s.open.Add(-1)
			defer s.users.leave(u)
			s.handle(ctx, newConn(s, nc, peer, u), conns)
		})
	}
}

// handle serves one connection from its first byte to its close.
func (s *Server) handle(ctx context.Context, c *conn, conns *conns) {
	defer c.close()
	defer s.recover()
	conns.add(c)
	defer conns.remove(c)
	c.session.greet()
	err := c.serve(ctx)
	peer := c.session.peer
	if ordinary(err) {
		s.log.Trace("connection closed", "uid", peer.UID, "pid", peer.PID, "error", err)
	} else {
		s.log.Debug("connection failed", "uid", peer.UID, "pid", peer.PID, "error", err)
	}
}

// recover keeps a fault of one connection to that connection. Of what was thrown only
// the runtime's own words are logged, and the type of anything else, which might hold a
// value. The stack holds addresses, not the texts that are at them.
func (s *Server) recover() {
	fault := recover()
	if fault == nil {
		return
	}
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

// turnAway answers BUSY to whatever the peer is about to ask.
func (s *Server) turnAway(nc net.Conn, peer Peer, u *user, conns *conns, start func(func())) {
	u.stats.failed(errTooMany.Code)
	if s.turnaways.Add(1) > maxTurnaways {
		s.turnaways.Add(-1)
		dismissBriefly(nc)
		return
	}
	start(func() {
		defer s.turnaways.Add(-1)
		c := newConn(s, nc, peer, u)
		defer c.close()
		conns.add(c)
		defer conns.remove(c)
		if c.session.mayNote(&u.denials, denialLines) {
			c.session.note(hclog.Warn, connect, "-", string(errTooMany.Code))
		}
		c.session.out = protocol.AppendError(nil, errTooMany)
		if c.flush() == nil {
			c.linger()
		}
	})
}

// briefly is how long a peer that is sent away in a hurry may take to be told. A socket that was
// connected just now takes a line at once; other transports may not.
const briefly = 10 * time.Millisecond

// dismissBriefly tells the peer that there is no room, if that takes no time, and closes.
func dismissBriefly(nc net.Conn) {
	_ = nc.SetWriteDeadline(time.Now().Add(briefly))
	_, _ = nc.Write(protocol.AppendError(nil, errTooMany))
	_ = nc.Close()
}
