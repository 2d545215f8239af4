package store

import "time"

// A Put that the journal has taken as a whole is durable, so the database may follow later. A drain
// writes the records of many commits to the database in one commit. A commit of grants alone waits
// for one sync instead of two, and never for the database. A Put with other records, and every Put
// behind it, drains the pending records to the database first or with it. The database is therefore
// behind only by the last commits, and the journal has all of these.

const (
	// The database may be behind by leastDrainDelay to mostDrainDelay, plus the time of a drain.
	// Between these bounds the delay is drainShare times the duration of the last drain. Drains
	// therefore take at most a tenth of the time, and of a record that is stored repeatedly only
	// the last version is written.
	leastDrainDelay = 100 * time.Millisecond
	mostDrainDelay  = time.Second
	drainShare      = 10

	// A drain starts at once if more than drainBytes are pending. That bounds the work of a start
	// after a kill.
	drainBytes = 8 << 20
)

// drainTimer starts the next drain. It belongs to the committer.
type drainTimer struct {
	timer *time.Timer
	set   bool
	delay time.Duration // from the first pending record to the drain
}

func newDrainTimer() drainTimer { return drainTimer{timer: stoppedTimer(), delay: leastDrainDelay} }

// stoppedTimer returns a timer that is not running.
func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// start starts the timer unless it is running.
func (t *drainTimer) start() {
	if !t.set {
		t.set = true
		t.timer.Reset(t.delay)
	}
}

func (t *drainTimer) stop() {
	t.set = false
	t.timer.Stop()
}

// took records the duration of a drain.
func (t *drainTimer) took(d time.Duration) {
	t.delay = min(max(drainShare*d, leastDrainDelay), mostDrainDelay)
}

// drain is one copying of pending records to the database. At most one is in progress. Records that
// arrive during a drain wait for the next one.
type drain struct {
	number  uint64 // its commit number
	with    *group // a group that is committed with the pending records; nil if none
	records int
	puts    int
	done    chan error // receives its result

	took time.Duration // its duration, whenever done is received; set before done
}

// mayFollow reports whether the database may follow g later. If the database is too far behind,
// mayFollow waits for a drain.
func (s *Store) mayFollow(g *group) bool {
	for _, p := range g.puts {
		if p.kept == nil {
			return false
		}
	}
	if s.lagging.Load() {
		return false
	}
	if s.crowded(g.bytes) {
		_ = s.drain() // a failure has been logged, and the records stay pending
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down == nil && !s.stalled
}

// crowded reports whether the pending records plus bytes exceed maxPending.
func (s *Store) crowded(bytes int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending.bytes+s.leaving.bytes+bytes > maxPending
}

// scheduleDrain starts a drain now, or schedules one.
func (s *Store) scheduleDrain() {
	s.mu.Lock()
	left, much := len(s.pending.values)+len(s.followed.values) > 0, s.pending.bytes > drainBytes
	s.mu.Unlock()
	switch {
	case !left || s.draining != nil: // the end of the drain handles what has arrived since
	case much:
		_ = s.beginDrain(nil) // a failure has been logged
	default:
		s.drainTimer.start()
	}
}

// startDrain starts the scheduled drain.
func (s *Store) startDrain() {
	s.drainTimer.stop()
	if s.draining == nil {
		_ = s.beginDrain(nil) // a failure has been logged
	}
}

// drained returns the channel with the result of the drain in progress, or nil.
func (s *Store) drained() <-chan error {
	if s.draining == nil {
		return nil
	}
	return s.draining.done
}

// drain writes all pending records to the database and waits. Afterwards the database may be
// written to directly.
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

// awaitDrain waits for the drain in progress, if any.
func (s *Store) awaitDrain() error {
	if s.draining == nil {
		return nil
	}
	return s.endDrain(<-s.draining.done)
}

// beginDrain starts a goroutine that writes the pending records to the database, and g with them if
// g is not nil. endDrain or awaitDrain waits for its end. Until then the database must not be
// written to. The number of g is s.sequence.
func (s *Store) beginDrain(g *group) error {
	s.drainTimer.stop()
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
		err := s.runDrain(d)
		d.took = time.Since(began)
		d.done <- err
	}()
	return nil
}

// runDrain writes s.leaving and d.with to the database.
func (s *Store) runDrain(d *drain) error {
	if err := s.admits(d.number); err != nil {
		return err
	}
	return s.settled(s.drainLeaving(d), d.number)
}

// drainLeaving writes s.leaving in as few transactions as possible, with d.with in the last one.
// Readers see s.leaving over the database until the database has all of it. s.leaving does not
// change until then.
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

// endDrain records the result of the drain in progress and returns err.
func (s *Store) endDrain(err error) error {
	d := s.draining
	s.draining = nil
	s.mu.Lock()
	stalled := s.stalled
	switch {
	case err != nil:
		s.pending.addOlder(s.leaving)
	case d.with != nil:
		s.stalled = false // d.with may be newer than s.leaving
	default:
		s.stalled, s.followed = false, s.leaving
	}
	s.leaving = pending{}
	s.mu.Unlock()
	s.drainTimer.took(d.took)
	if err == nil || d.with != nil || !stalled { // repeated failures are counted once
		s.counts.committed(d.puts, d.took, err)
	}
	switch {
	case err != nil && d.records > 0:
		s.stall(err)
	case err == nil && stalled:
		s.log.Info("the database has taken the records that only the journal had", "records", d.records)
	}
	return err
}
