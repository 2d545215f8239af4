package server

import (
	"tokend/daemon/clock"
	"tokend/daemon/server/epoll"
)

// The bounds of a group. Of 8, 16, 32 and 64 members a request took the less of the processor the
// more there were, with 512 connections by 4, 4 and 3 %; but each has to wait until all have been
// read before it is answered.
//
// So the members that are ready in one turn are at least turnGroups groups: clients receive the
// first replies while the server reads the next requests. If all were one group, few clients and
// the server would wait for each other in turn. With 8 connections three groups answer 1.4 times as
// many requests as one, with 50 and 512 as many. Groups of one member answer 13 % less with 16
// connections and 20 % less with 50.
const (
	groupSize  = 64               // members
	groupIn    = 32 * smallBuffer // bytes of room to read into
	groupOut   = 48 << 10         // bytes of replies that gather; those of one member may go beyond
	turnGroups = 3
)

// group is members that are ready in one turn of the loop. They are served abreast: all are read,
// then all are answered, then all are written to, so that the processor has at hand the code that
// each of the three takes, which is the kernel's for the most part. That alone made a request 4 %
// cheaper with 50 connections, and 8 % with 512.
//
// A member that needs more than answers leaves the group: it is done with by itself, behind those
// before it.
type group struct {
	all  [groupSize]arrival
	n    int // how many of all there are
	most int // how many of all there may be in this turn
	used int // bytes of in
	in   [groupIn]byte
}

// arrival is a member of a group.
type arrival struct {
	m   *member // nil when it has left
	in  []byte  // what has been read of it
	end int     // where its replies end in the loop's out

	ahead int // where what has been looked up for it begins
}

// expect sets the size of the groups for a turn in which so many are ready.
func (g *group) expect(ready int) { g.most = min(max(ready/turnGroups, 1), groupSize) }

// receive reads what the peer of m has sent, of which events tell. m has nothing unconsumed. It
// reads once: whoever has sent more has to wait until others have had their turn.
func (l *loop) receive(m *member, events epoll.Events) {
	g := &l.group
	room := g.in[g.used : g.used+smallBuffer]
	n, err := m.wire.Receive(room)
	switch {
	case err == epoll.ErrAgain:
		return
	case err != nil:
		l.end(m, err)
		return
	case !l.lookAgain(m, n == len(room), events):
		return
	}
	g.all[g.n] = arrival{m: m, in: room[:n]}
	g.n++
	g.used += (n + cacheLine - 1) &^ (cacheLine - 1)
	if g.n >= g.most || len(g.in)-g.used < smallBuffer {
		l.answerGroup()
	}
}

// cacheLine is how many bytes processors fetch at once, nearly all of them.
const cacheLine = 64

// answerGroup answers all in the group, and empties it.
func (l *loop) answerGroup() {
	g := &l.group
	if g.n == 0 {
		return
	}
	// The clock is looked at once for all; see session.cached.
	now := l.server.cfg.Engine.Now()
	first := 0 // of those whose replies are in out
	ahead := 0 // of those for whom nothing has been looked up
	for i := range g.all[:g.n] {
		if i == ahead {
			ahead = l.lookAhead(i, now)
		}
		a := &g.all[i]
		next, ok := more, false
		l.guard(a.m, func(m *member) { next, ok = l.answerAbreast(m, a, now) })
		switch {
		case !ok: // it has ended by a fault
			a.m = nil
		case next != more || len(a.in) > 0:
			l.writeGroup(g.all[first:i])
			first = i + 1
			l.guard(a.m, func(m *member) { l.leaveGroup(m, a, next) })
		case len(l.out) >= groupOut:
			l.writeGroup(g.all[first : i+1])
			first = i + 1
		}
	}
	l.writeGroup(g.all[first:g.n])
	clear(g.all[:g.n])
	g.n, g.used = 0, 0
}

// lookAhead looks up what members of the group are about to ask for, from the one at i on, and
// returns the first for whom it did not.
func (l *loop) lookAhead(i int, now clock.Instant) (end int) {
	g, a := &l.group, &l.ahead
	a.n = 0
	for end = i; end < g.n && (end == i || a.n < aheadSize); end++ {
		g.all[end].ahead = a.n
		g.all[end].m.session.lookAhead(g.all[end].in, a)
	}
	n := a.n
	a.n = 0 // a fault leaves nothing, and comes again for the one whose it is
	if n > 1 {
		defer l.server.recover()
		l.server.cfg.Engine.CachedAll(a.names[:n], now, a.values[:n])
		a.n = n
	}
	return end
}

// answerAbreast has m's session answer what has been read of it, behind the replies of those before
// it. If there is more to do, what is left is in a.in, and the replies are the session's.
func (l *loop) answerAbreast(m *member, a *arrival, now clock.Instant) (next action, ok bool) {
	s := &m.session
	s.out = l.out
	s.ahead, l.ahead.next = &l.ahead, a.ahead
	n, next := s.stepAt(a.in, now)
	s.ahead = nil
	a.in = a.in[n:]
	m.conn.consumed(n)
	if next != more || len(a.in) > 0 {
		s.out = s.out[len(l.out):]
		return next, true
	}
	l.out, s.out = s.out, nil
	a.end = len(l.out)
	return more, true
}

// leaveGroup goes on with m by itself. There are no replies but m's.
func (l *loop) leaveGroup(m *member, a *arrival, next action) {
	m.session.out = append(l.out[:0], m.session.out...)
	a.m = nil
	l.settle(m, a.in, next)
}

// writeGroup writes the replies that have gathered in the loop's buffer, which are those of as.
func (l *loop) writeGroup(as []arrival) {
	begin := 0
	for i := range as {
		a := &as[i]
		if a.m == nil {
			continue
		}
		out := l.out[begin:a.end]
		begin = a.end
		l.guard(a.m, func(m *member) {
			switch all, err := l.send(m, out); {
			case err != nil:
				l.end(m, err)
			case all:
				l.listen(m)
			default:
				l.lend(m, more)
			}
		})
	}
	l.emptied(l.out)
}
