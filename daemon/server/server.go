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
)

// Server answers requests on connections. Make one with New. Its methods may be
// called concurrently.
type Server struct {
	cfg Config // set by New, read-only after
	log hclog.Logger

	access atomic.Pointer[access]
	usage  usage
	stats  stats
	outs   sync.Pool     // of *[]byte, empty: room for replies
	open   atomic.Int64  // connections being served
	faults atomic.Uint32 // the number of the last fault: what ties a reply to the log

	// turnaways are connections that are being told that there are too many.
	turnaways atomic.Int64
}

// New returns a server that asks cfg.Engine.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, log: cfg.logger()}
	s.outs.New = func() any { return new(make([]byte, 0, 1<<10)) }
	s.SetRules(cfg.Rules)
	s.faults.Store(rand.Uint32()) // so that two runs do not write the same numbers to one log
	return s
}

// SetRules puts other access rules into force: for new connections, and for the next
// request of each that is open.
func (s *Server) SetRules(rules []Rule) {
	s.access.Store(newAccess(uint32(os.Geteuid()), rules))
}

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
	err := s.accept(ctx, ln, func(nc net.Conn) {
		handlers.Go(func() { s.handle(ctx, nc, conns) })
	})
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

// handle serves one connection from its first byte to its close.
func (s *Server) handle(ctx context.Context, nc net.Conn, conns *conns) {
	s.stats.connections.Add(1)
	defer nc.Close()
	defer s.recover()
	defer s.open.Add(-1)
	if s.open.Add(1) > s.cfg.maxConns() {
		s.turnAway(nc, conns)
		return
	}
	peer, err := s.cfg.peer(nc)
	if err != nil {
		s.log.Warn("connection refused: its peer is not known", "error", err)
		return
	}
	c := newConn(s, nc, peer)
	conns.add(c)
	defer conns.remove(c)
	err = c.serve(ctx)
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

// maxTurnaways bounds how many connections beyond MaxConns are told why they are not
// served. Beyond these, connections are closed without a word.
const maxTurnaways = 64

// turnAway answers BUSY to whatever the peer is about to ask.
func (s *Server) turnAway(nc net.Conn, conns *conns) {
	defer s.turnaways.Add(-1)
	if s.turnaways.Add(1) > maxTurnaways {
		return
	}
	c := newConn(s, nc, Peer{})
	conns.add(c)
	defer conns.remove(c)
	c.session.fail(errTooMany)
	if c.flush() == nil {
		c.linger()
	}
}
