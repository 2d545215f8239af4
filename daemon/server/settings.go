package server

import (
	"cmp"
	"time"

	"tokend/daemon/server/descriptors"
)

// Limits can be changed by an operator. A zero field stands for that of [DefaultLimits].
type Limits struct {
	// MaxConns bounds the open connections. It is reduced to three quarters of the process's
	// descriptors, or to all but 24. One user may have as many as are free, and so no more than
	// half. The last sixteenth is for users with few connections. Further connections are answered
	// BUSY and closed. No limit applies to root and the daemon's own user, and their connections
	// are not counted.
	MaxConns int

	// UserRate is how many requests of one user are answered in a second, on all its connections
	// together. Up to one second's requests can be saved. Further requests are delayed: the
	// connection is not read until the allowance has refilled.
	UserRate int

	// MaxUserWaits is how many requests of one user may wait for fetches at once. Further requests
	// are answered BUSY.
	MaxUserWaits int

	// IdleTimeout closes a connection without a request for that long; zero means never. It is not
	// needed for processes that die: the kernel closes their sockets.
	IdleTimeout time.Duration
}

// DefaultLimits are the limits without a configuration.
//
// 100000 requests take a third of a second of one processor if each is a read and a write (3.3 us),
// and a twentieth if they are pipelined. PHP scripts that connect for each request cannot send as
// many from two processors.
var DefaultLimits = Limits{MaxConns: 8192, UserRate: 100_000, MaxUserWaits: 1024}

// settings are Limits in the form that is used.
type settings struct {
	conns   int  // limit of connections, operators' not counted
	pace    rate // of a user's requests
	quantum int  // how many of them a session takes at once
	waits   int
	idle    time.Duration
}

// maxQuantum is the most that a session takes from its user's allowance at once. So a request costs
// a subtraction, and not an atomic operation on memory that all connections of a user share. The
// rest is returned at the end. The quantum of a small allowance is smaller, so that 256 connections
// have one each within a second.
const maxQuantum = 64

// SetLimits replaces the limits. Open connections stay open. A new idle timeout applies to them
// after their next request.
func (s *Server) SetLimits(l Limits) {
	rate := newRate(cmp.Or(l.UserRate, DefaultLimits.UserRate))
	most := cmp.Or(l.MaxConns, DefaultLimits.MaxConns)
	possible := descriptors.Room(most)
	if possible < most && most > DefaultLimits.MaxConns {
		s.log.Warn("too few descriptors for max_connections: raise the limit (LimitNOFILE=)",
			"max_connections", most, "possible", possible, "descriptors", descriptors.Limit())
	}
	s.limits.Store(&settings{
		conns:   possible,
		pace:    rate,
		quantum: min(max(rate.burst/256, 1), maxQuantum),
		waits:   cmp.Or(l.MaxUserWaits, DefaultLimits.MaxUserWaits),
		idle:    l.IdleTimeout,
	})
}

// newRate returns the rate of n per second.
func newRate(n int) rate { return rate{each: max(1, time.Second/time.Duration(n)), burst: n} }
