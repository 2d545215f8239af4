package server

import (
	"cmp"
	"errors"
	"slices"
)

// If the limit of connections is reached, a new connection replaces an idle one of the user with
// the most connections, which has been idle for longest. Its client sees a close between two
// requests, as after a restart of the daemon, and reconnects for the next request. So no user locks
// others out by idle connections, and a group of users does not either.

// idleState is a connection's state in the list of its user's idle connections. users.mu guards it.
type idleState struct {
	prev, next *conn // in the list
	listed     bool  // in the list; the driver may read it without the lock
	evicted    bool  // replaced: it is being closed, and no longer counted
}

// errEvicted ends a connection that another one replaces.
var errEvicted = errors.New("closed for another connection")

// idleList is a user's idle connections; the first has been idle for longest.
type idleList struct{ first, last *conn }

func (l *idleList) add(c *conn) {
	p := &c.idle
	p.listed, p.prev, p.next = true, l.last, nil
	if l.last == nil {
		l.first = c
	} else {
		l.last.idle.next = c
	}
	l.last = c
}

func (l *idleList) remove(c *conn) {
	p := &c.idle
	if p.prev == nil {
		l.first = p.next
	} else {
		p.prev.idle.next = p.next
	}
	if p.next == nil {
		l.last = p.prev
	} else {
		p.next.idle.prev = p.prev
	}
	p.listed, p.prev, p.next = false, nil, nil
}

// idle records that c has nothing in progress: no request, no part of a request, no watch. Another
// connection may replace c from now on.
func (us *users) idle(c *conn) {
	u := c.session.user
	if u.operator {
		return
	}
	us.mu.Lock()
	defer us.mu.Unlock()
	if !c.idle.listed && !c.idle.evicted {
		u.idle.add(c)
	}
}

// busy ends idle. It returns false if c has been replaced.
func (us *users) busy(c *conn) bool {
	if c.session.user.operator {
		return true
	}
	us.mu.Lock()
	defer us.mu.Unlock()
	if c.idle.listed {
		c.session.user.idle.remove(c)
	}
	return !c.idle.evicted
}

// lookedAt is how many connections of a user are checked: some may have received a request that has
// not been read.
const lookedAt = 32

// evictLocked replaces an idle connection by one more of u, and returns the replaced one: that of
// the user with the most connections. may reports whether it can be closed. If u has connections,
// the other user must have at least two more, so that two users do not replace each other's
// repeatedly. It returns nil if there is no such connection. us.mu is held.
func (us *users) evictLocked(u *user, may func(*conn) bool) *conn {
	least := u.conns + 2
	if u.conns == 0 {
		least = 1
	}
	var others []*user
	for _, v := range us.all {
		if v != u && v.conns >= least && v.idle.first != nil {
			others = append(others, v)
		}
	}
	slices.SortFunc(others, func(a, b *user) int { return cmp.Or(cmp.Compare(b.conns, a.conns), cmp.Compare(a.uid, b.uid)) })
	for _, v := range others {
		looked := 0
		for c := v.idle.first; c != nil && looked < lookedAt; c = c.idle.next {
			if may(c) {
				v.idle.remove(c)
				c.idle.evicted = true
				us.leaveLocked(v)
				v.stats.evicted.Add(1)
				return c
			}
			looked++
		}
	}
	return nil
}
