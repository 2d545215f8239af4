package server

import (
	"cmp"
	"errors"
	"slices"
)

// When there is no room for a connection, the user with the most connections gives up one that is
// idle: the one that has been so for longest. Its client sees a close between two requests, as
// after a restart of the daemon, and connects again when it has something to ask. So nobody keeps
// others out by connections that do nothing, however many users they are made of.

// place is a connection's place among those of its user. Its fields are guarded by users.mu.
type place struct {
	prev, next *conn // of the user's idle ones
	idle       bool  // among them; what drives the connection may look without the lock
	lost       bool  // to another connection: it is closed, and counted no more
}

// errOusted is how a connection ends that has lost its place.
var errOusted = errors.New("closed for another connection")

// idlers are a user's idle connections, in the order in which they have become so.
type idlers struct{ first, last *conn }

func (is *idlers) add(c *conn) {
	p := &c.place
	p.idle, p.prev, p.next = true, is.last, nil
	if is.last == nil {
		is.first = c
	} else {
		is.last.place.next = c
	}
	is.last = c
}

func (is *idlers) remove(c *conn) {
	p := &c.place
	if p.prev == nil {
		is.first = p.next
	} else {
		p.prev.place.next = p.next
	}
	if p.next == nil {
		is.last = p.prev
	} else {
		p.next.place.prev = p.prev
	}
	p.idle, p.prev, p.next = false, nil, nil
}

// idle takes note that c has nothing under way: no request, no part of one, no watch. Its place may
// be lost from now on.
func (us *users) idle(c *conn) {
	u := c.session.user
	if u.operator {
		return
	}
	us.mu.Lock()
	defer us.mu.Unlock()
	if !c.place.idle && !c.place.lost {
		u.idlers.add(c)
	}
}

// busy ends idle. It returns false if the place is lost.
func (us *users) busy(c *conn) bool {
	if c.session.user.operator {
		return true
	}
	us.mu.Lock()
	defer us.mu.Unlock()
	if c.place.idle {
		c.session.user.idlers.remove(c)
	}
	return !c.place.lost
}

// lookedAt is how many idle connections of a user may turn out not to be before another user is
// looked at.
const lookedAt = 32

// oustLocked takes the place of an idle connection that may says can be closed for one more of u,
// and returns it: of the user with the most connections that has one. A user without a connection
// takes that of anybody, any other one only that of a user who has more, and still as many when it
// is closed; so two users do not take turns. It returns nil where there is none. us.mu is held.
func (us *users) oustLocked(u *user, may func(*conn) bool) *conn {
	least := u.conns + 2
	if u.conns == 0 {
		least = 1
	}
	var others []*user
	for _, v := range us.all {
		if v != u && v.conns >= least && v.idlers.first != nil {
			others = append(others, v)
		}
	}
	slices.SortFunc(others, func(a, b *user) int { return cmp.Or(cmp.Compare(b.conns, a.conns), cmp.Compare(a.uid, b.uid)) })
	for _, v := range others {
		looked := 0
		for c := v.idlers.first; c != nil && looked < lookedAt; c = c.place.next {
			if may(c) {
				v.idlers.remove(c)
				c.place.lost = true
				us.leaveLocked(v)
				v.stats.ousted.Add(1)
				return c
			}
			looked++
		}
	}
	return nil
}
