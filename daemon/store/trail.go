package store

import "time"

// What the journal has taken whole is durable. So the database need not have it at once: it
// follows, with what many commits have brought in one of its own, and a commit of grants alone
// waits for one sync instead of two, and for the database not at all. What is put together with
// something that the journal does not take, or behind it, comes when the database has all that was
// before: it is never behind but by the last commits, and these the journal has whole.

const (
	// leastTrail and mostTrail are by how much the database may be behind at the least and at the
	// most, besides the time that a drain takes. Between them it is trailShare times what the last
	// drain took, so that the database has a tenth of the time however much comes, and of what is
	// put again and again but the last.
	leastTrail = 100 * time.Millisecond
	mostTrail  = time.Second
	trailShare = 10

	// trailBytes is with how much it follows at once: what a start after a kill has to bring it up
	// by is bounded by that.
	trailBytes = 8 << 20
)

// trail is when the database is to follow. It is the committer's.
type trail struct {
	timer *time.Timer
	set   bool
	span  time.Duration // from what comes to when the database follows
}

func newTrail() trail { return trail{timer: stoppedTimer(), span: leastTrail} }

// stoppedTimer returns a timer that has not been set.
func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// start sets the timer, if it is not.
func (t *trail) start() {
	if !t.set {
		t.set = true
		t.timer.Reset(t.span)
	}
}

func (t *trail) stop() {
	t.set = false
	t.timer.Stop()
}

// took takes note of how long a drain took.
func (t *trail) took(d time.Duration) { t.span = min(max(trailShare*d, leastTrail), mostTrail) }

// drain is the database being brought up to the journal. One is under way at a time; what comes
// meanwhile is for the next.
type drain struct {
	number  uint64 // of the commit that it makes
	with    *group // that goes to the database together with what is pending; nil for none
	records int
	puts    int
	done    chan error // receives what has become of it

	took time.Duration // to its end, whenever that is seen; set before done
}

// trails reports whether the database may follow later with g. Where it is too far behind for that,
// it is waited for.
func (s *Store) trails(g *group) bool {
	for _, p := range g.puts {
		if p.kept == nil {
			return false
		}
	}
	if s.lagging.Load() {
		return false
	}
	if s.crowded(g.bytes) {
		_ = s.drain() // what stands against it has been said, and stays pending
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down == nil && !s.stalled
}

// crowded reports whether more is kept in memory for the database than it may be with so many bytes
// besides.
func (s *Store) crowded(bytes int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending.bytes+s.leaving.bytes+bytes > maxPending
}

// follow has the database follow now, or sees to it that it will.
func (s *Store) follow() {
	s.mu.Lock()
	left, much := len(s.pending.values)+len(s.followed.values) > 0, s.pending.bytes > trailBytes
	s.mu.Unlock()
	switch {
	case !left || s.draining != nil: // its end looks after what has come meanwhile
	case much:
		_ = s.beginDrain(nil) // what stands against it has been said
	default:
		s.trail.start()
	}
}

// due has the database follow: the time has come.
func (s *Store) due() {
	s.trail.stop()
	if s.draining == nil {
		_ = s.beginDrain(nil) // what stands against it has been said
	}
}

// drained returns where the end of the drain that is under way is told; nil for none.
func (s *Store) drained() <-chan error {
	if s.draining == nil {
		return nil
	}
	return s.draining.done
}

// drain brings the database up to the journal, and waits for that. What comes then may go there
// without having been pending.
func (s *Store) drain() error {
	err := s.awaitDrain()
	if err == nil {
		err = s.beginDrain(nil)
	}
	if err == nil {
		err = s.awaitDrain()
	}
	s.mu.Lock()
	s.followed = pending{}
	s.mu.Unlock()
	return err
}

// awaitDrain waits for the drain that is under way, if there is one.
func (s *Store) awaitDrain() error {
	if s.draining == nil {
		return nil
	}
	return s.endDrain(<-s.draining.done)
}

// beginDrain has the database brought up to what is pending, if anything is, and to g, if that is
// not nil, by a goroutine that endDrain or awaitDrain sees the end of. The database is not to be
// written to before. Of g the number is s.sequence.
func (s *Store) beginDrain(g *group) error {
	s.trail.stop()
	s.mu.Lock()
	s.followed = pending{}
	if s.down != nil || len(s.pending.values) == 0 && g == nil {
		defer s.mu.Unlock()
		return s.down
	}
	s.leaving, s.pending = s.pending, pending{}
	d := &drain{with: g, records: len(s.leaving.values), puts: s.leaving.puts, done: make(chan error, 1)}
	s.mu.Unlock()
	if g == nil {
		s.sequence++
	} else {
		d.puts += len(g.puts)
	}
	d.number = s.sequence
	s.draining = d
	began := time.Now()
	go func() {
		err := s.bringUp(d)
		d.took = time.Since(began)
		d.done <- err
	}()
	return nil
}

// bringUp writes what is leaving to the database, and what goes with it.
func (s *Store) bringUp(d *drain) error {
	if err := s.admits(d.number); err != nil {
		return err
	}
	return s.settled(s.drainLeaving(d), d.number)
}

// drainLeaving writes what is leaving in as few transactions as it takes, and what goes with it in
// the last of them. Readers go on to see it over what the database has until all of it is there;
// nobody changes it meanwhile.
func (s *Store) drainLeaving(d *drain) error {
	s.mu.Lock()
	h, p := s.current, s.leaving
	s.mu.Unlock()
	b := newBulk(h.db)
	for _, e := range p.entries(s.sealer) {
		if err := b.add(e); err != nil {
			return err
		}
	}
	if d.with != nil {
		if err := b.addWhole(d.with.sealed(s.sealer, d.number), d.with.bytes); err != nil {
			return err
		}
	}
	return b.finish(d.number)
}

// endDrain takes note of what has become of the drain that was under way, and returns err.
func (s *Store) endDrain(err error) error {
	d := s.draining
	s.draining = nil
	s.mu.Lock()
	stalled := s.stalled
	switch {
	case err != nil:
		s.pending.goUnder(s.leaving)
	case d.with != nil:
		s.stalled = false // what has gone with it may be newer than what was leaving
	default:
		s.stalled, s.followed = false, s.leaving
	}
	s.leaving = pending{}
	s.mu.Unlock()
	s.trail.took(d.took)
	if err == nil || d.with != nil || !stalled { // what goes on being refused is counted once
		s.counts.committed(d.puts, d.took, err)
	}
	switch {
	case err != nil && d.records > 0:
		s.stall(err)
	case err == nil && stalled:
		s.log.Info("the database has taken what was in the journal only", "records", d.records)
	}
	return err
}
