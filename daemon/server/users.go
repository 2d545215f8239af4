package server

import (
	"maps"
	"sync"
	"sync/atomic"
)

// user is what all connections of one uid, and of its subordinate uids, share: what they hold,
// their allowances and their counters. It is the unit of fairness, because a peer cannot get
// another one.
type user struct {
	uid uint32

	// operator says that it is root or the daemon's own user. No limit applies to operators: they
	// could stop the daemon anyway.
	operator bool

	conns int      // connections being served; guarded by users.mu
	idle  idleList // idle connections; guarded by users.mu

	pace     bucket // of requests
	work     bucket // of the processor time of long requests
	acts     bucket // of audit lines about successful requests
	denials  bucket // of audit lines about refused requests
	warnings bucket // of log lines about slowed requests
	faults   bucket // of log lines about faults

	waits   waits
	watches gauge
	// channels is the bytes of what peers have subscribed to, see userChannels.
	channels atomic.Int64
	deaf     gauge // connections that do not read their replies
	long     gauge // connections with a long request in progress

	// lists bounds the requests that walk through all credentials.
	lists chan struct{}

	decided atomic.Pointer[decision] // the rights of its last peer; nil for none

	unaudited  omitted       // audit lines
	unreported omitted       // log lines about faults
	fault      atomic.Uint32 // the number of the last fault written to the log; 0 for none
	stats      stats
}

// users are the users that have connections, and some that had. The zero value is empty.
type users struct {
	self uint32 // the daemon's own uid; set by New, read-only after

	mu      sync.Mutex
	all     map[uint32]*user // by the uid of ownerLocked
	sweepAt int              // the size of all at which users without connections are removed
	open    int              // connections, operators' not counted
	gone    stats            // of the removed users

	subordinates []subordinate // sorted, without overlap
}

// fewUsers is how many users are kept without checking whether they have connections. An ordinary
// host has some tens. A range of subordinate uids, which the host may not know, has 65536.
const fewUsers = 1024

// get returns the user of uid.
func (us *users) get(uid uint32) *user {
	us.mu.Lock()
	defer us.mu.Unlock()
	return us.getLocked(uid)
}

func (us *users) getLocked(uid uint32) *user {
	uid = us.ownerLocked(uid)
	if u := us.all[uid]; u != nil {
		return u
	}
	if us.all == nil {
		us.all, us.sweepAt = make(map[uint32]*user), fewUsers
	}
	if len(us.all) >= us.sweepAt {
		us.sweepLocked()
	}
	u := &user{uid: uid, operator: us.operator(uid), lists: make(chan struct{}, userLists)}
	us.all[uid] = u
	return u
}

// sweepLocked removes users without connections, and keeps their counters. Their allowances are
// full when they return: a user with so many uids gains nothing by that. The next call is made when
// there are twice as many users as it has left, so its cost for each new user is small.
func (us *users) sweepLocked() {
	maps.DeleteFunc(us.all, func(_ uint32, u *user) bool {
		if u.conns > 0 {
			return false
		}
		us.gone.merge(&u.stats)
		return true
	})
	us.sweepAt = max(fewUsers, 2*len(us.all))
}

// The last connections are kept for users with few connections, because the others may all be busy,
// such as watches. They are 1 of lastShare of the limit. A user has few connections if it has less
// than 1 of fewShare of the last ones.
const (
	lastShare = 16
	fewShare  = 64
)

// fullLocked reports whether limit does not allow one more connection of u. us.mu is held.
func (us *users) fullLocked(u *user, limit int) bool {
	free, last := limit-us.open, limit/lastShare
	return u.conns >= free || free <= last && u.conns >= max(1, last/fewShare)
}

// enter counts a connection of uid, if the limit allows it. A user may have as many as are free: so
// one user alone gets half of limit, two get a third each. The last ones are for users with few
// connections. Beyond that, the connection replaces an idle one, which enter returns and the caller
// closes, see evictLocked; if may is nil, it replaces none. enter returns false if the connection
// is refused. The limit does not count operators' connections.
func (us *users) enter(uid uint32, limit int, may func(*conn) bool) (u *user, evicted *conn, ok bool) {
	us.mu.Lock()
	defer us.mu.Unlock()
	u = us.getLocked(uid)
	u.stats.connections.Add(1)
	if !u.operator {
		if us.fullLocked(u, limit) {
			if may != nil {
				evicted = us.evictLocked(u, may)
			}
			if evicted == nil {
				u.stats.turnedAway.Add(1)
				return u, nil, false
			}
		}
		us.open++
	}
	u.conns++
	return u, evicted, true
}

// leave ends enter. c is the connection, nil if it was refused afterwards.
func (us *users) leave(u *user, c *conn) {
	us.mu.Lock()
	defer us.mu.Unlock()
	switch {
	case c == nil:
	case c.idle.evicted:
		return
	case c.idle.listed:
		u.idle.remove(c)
	}
	us.leaveLocked(u)
}

func (us *users) leaveLocked(u *user) {
	u.conns--
	if !u.operator {
		us.open--
	}
}

// total returns the sum of all users' counters.
func (us *users) total() *stats {
	us.mu.Lock()
	defer us.mu.Unlock()
	sum := new(stats)
	sum.merge(&us.gone)
	for _, u := range us.all {
		sum.merge(&u.stats)
	}
	return sum
}
