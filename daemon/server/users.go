package server

import (
	"maps"
	"sync"
	"sync/atomic"
)

// user is what all connections of one uid have in common, and of the uids that are subordinate to
// it: what they hold, what they may still ask for, and what they have done. It is the unit of
// fairness, since it is the one thing about a peer that the peer cannot make more of.
type user struct {
	uid uint32

	// operator says that it is root or the daemon's own user, whom no limit binds: they
	// can stop the daemon, so there is nothing to protect it from.
	operator bool

	conns  int    // connections being served; guarded by users.mu
	idlers idlers // those of them that are idle; guarded by users.mu

	pace     bucket // of requests
	work     bucket // of what long ones cost
	acts     bucket // of audit lines about what was done
	denials  bucket // of audit lines about what was refused
	warnings bucket // of lines that say that it was slowed
	faults   bucket // of lines about faults

	waits   waits
	watches gauge
	deaf    gauge // connections that do not read what they are sent
	long    gauge // connections with a long line under way

	// lists lets in those that walk through all there is.
	lists chan struct{}

	decided atomic.Pointer[decision] // what the last of its peers whom that was asked for may do; nil for none

	unsaid     omitted       // of the audit
	unreported omitted       // about faults
	fault      atomic.Uint32 // the number of the last fault written to the log; 0 for none
	stats      stats
}

// users are the users that have connections, and some that had. The zero value knows none.
type users struct {
	self uint32 // the daemon's own uid; set by New, read-only after

	mu      sync.Mutex
	all     map[uint32]*user // by the uid of ownerLocked
	sweepAt int              // the size of all at which those without connections are let go
	open    int              // connections of those who are no operators
	gone    stats            // what those have done who were let go

	subordinates []subordinate // sorted, none with a uid of another
}

// fewUsers is how many users are remembered without a look at whether they still have
// connections. An ordinary host has some tens; a range of subordinate uids that the host does not
// know of is 65536.
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

// sweepLocked lets go of users without connections. What they have done stays counted; their
// allowances are full again when they come back, which gains nobody anything who
// has so many uids. It looks at all again only when there are twice as many as it has left, so
// that its cost stays small for each user that comes.
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

// The last places are for users with few connections, since others may fill the rest with
// connections that are not idle, such as watches. They are 1 of lastShare places. A user has few
// connections if it has less than 1 of fewShare of the last places; none is few.
const (
	lastShare = 16
	fewShare  = 64
)

// fullLocked reports whether there is no room for one more connection of u among limit. us.mu is
// held.
func (us *users) fullLocked(u *user, limit int) bool {
	free, last := limit-us.open, limit/lastShare
	return u.conns >= free || free <= last && u.conns >= max(1, last/fewShare)
}

// enter takes in a connection of uid. There is no room for it when as many as limit are open, or
// when its user has as many as are free: so one user alone gets half of limit, two get a third
// each. The last places are for users with few connections. Where there is no room it takes the
// place of an idle one, which enter returns and which the caller closes, see oustLocked; nil for
// may is for none. It reports false if there is no such place either. An operator's connections
// need no room and take none.
func (us *users) enter(uid uint32, limit int, may func(*conn) bool) (u *user, ousted *conn, ok bool) {
	us.mu.Lock()
	defer us.mu.Unlock()
	u = us.getLocked(uid)
	u.stats.connections.Add(1)
	if !u.operator {
		if us.fullLocked(u, limit) {
			if may != nil {
				ousted = us.oustLocked(u, may)
			}
			if ousted == nil {
				u.stats.turnedAway.Add(1)
				return u, nil, false
			}
		}
		us.open++
	}
	u.conns++
	return u, ousted, true
}

// leave ends enter. c is the connection, if it has come to be one; nil otherwise.
func (us *users) leave(u *user, c *conn) {
	us.mu.Lock()
	defer us.mu.Unlock()
	switch {
	case c == nil:
	case c.place.lost:
		return
	case c.place.idle:
		u.idlers.remove(c)
	}
	us.leaveLocked(u)
}

func (us *users) leaveLocked(u *user) {
	u.conns--
	if !u.operator {
		us.open--
	}
}

// total returns what all have done together.
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
