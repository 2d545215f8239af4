package store

import "time"

// What the journal has taken whole is durable. So the database need not have it at once: it follows, with what many
// commits have brought in one of its own, and a commit of grants alone waits for one sync instead of two. What is put together
// with something that the journal does not take, or behind it, comes when the database has all that was before: it is
// never behind but by the last commits, and these the journal has whole.

// trailTime is by how much the database may be behind: what a start after a kill has to bring it up by is
// bounded by that, and by half of what a transaction holds, 150 KB.
const trailTime = 100 * time.Millisecond

// newTrail returns a timer that is not set.
func newTrail() *time.Timer {
	t := time.NewTimer(trailTime)
	t.Stop()
	return t
}

// trails reports whether the database may follow later with g.
func (s *Store) trails(g *group) bool {
	for _, p := range g.puts {
		if p.kept == nil {
			return false
		}
	}
	if s.lagging.Load() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down == nil && !s.stalled &&
		s.pending.room()+g.bytes <= s.maxBytes && len(s.pending.values)+len(g.entries) <= s.maxCount
}

// follow has the database follow now, or sees to it that it will.
func (s *Store) follow() {
	s.mu.Lock()
	much := s.pending.room() > s.maxBytes/2 || len(s.pending.values) > s.maxCount/2
	s.mu.Unlock()
	switch {
	case much:
		_ = s.drain() // what stands against it has been said, and stays pending
	case !s.trailing:
		s.trailing = true
		s.trail.Reset(trailTime)
	}
}
