package server

import (
	"cmp"
	"time"

	"tokend/daemon/server/descriptors"
)

// Limits are what an operator may change. The zero value of a field is that of [DefaultLimits].
type Limits struct {
	// MaxConns is how many connections may be open at once, and at most three quarters of the
	// process's descriptors, or all but 24. One user may have as many as are free, and so no more
	// than half; the last sixteenth is for users with few. Further ones are answered BUSY and
	// closed. Those of root and of the daemon's own user are not counted; nor do the limits that
	// follow bind them.
	MaxConns int

	// UserRate is how many requests of one user are answered in a second, on all its connections
	// together. What goes beyond the rate, and beyond what has not been used of the last second's,
	// is slowed: the connection is not read until its turn comes.
	UserRate int

	// MaxUserWaits is how many requests of one user may wait for fetches at once. Further ones are
	// answered BUSY.
	MaxUserWaits int

	// IdleTimeout closes a connection on which nothing has been asked for so long; zero stands for
	// never. A process that dies is noticed at once without it, since the kernel closes its
	// sockets.
	IdleTimeout time.Duration
}

// DefaultLimits are those without a configuration.
//
// 100000 requests are a third of a second of one processor where each is its own read and write
// (3.3 us), and a twentieth where they are pipelined. PHP that connects for each request is not
// able to make as many on a whole machine of two.
var DefaultLimits = Limits{MaxConns: 8192, UserRate: 100_000, MaxUserWaits: 1024}

// settings are Limits as they are used.
type settings struct {
	room   int  // connections that may be open, operators' not counted
	pace   rate // of a user's requests
	ration int  // how many of them a session draws at once
	waits  int
	idle   time.Duration
}

// maxRation is how many requests' worth of its user's allowance a session draws at most at once, so
// that a request costs a subtraction and not an atomic operation that all connections of a user
// meet at. What is left of it at the end is given back. Of a small allowance it draws less, so that
// 256 connections have a ration each within a second.
const maxRation = 64

// SetLimits puts other limits in force. A connection that is open stays open; the idle timeout holds
// for it from its next request on.
func (s *Server) SetLimits(l Limits) {
	rate := newRate(cmp.Or(l.UserRate, DefaultLimits.UserRate))
	most := cmp.Or(l.MaxConns, DefaultLimits.MaxConns)
	room := descriptors.Room(most)
	if room < most && most > DefaultLimits.MaxConns {
		s.log.Warn("the process has too few descriptors for max_connections: raise the limit (LimitNOFILE=)",
			"max_connections", most, "possible", room, "descriptors", descriptors.Limit())
	}
	s.limits.Store(&settings{
		room:   room,
		pace:   rate,
		ration: min(max(rate.burst/256, 1), maxRation),
		waits:  cmp.Or(l.MaxUserWaits, DefaultLimits.MaxUserWaits),
		idle:   l.IdleTimeout,
	})
}

// newRate returns the rate of n in a second.
func newRate(n int) rate { return rate{each: max(1, time.Second/time.Duration(n)), burst: n} }
