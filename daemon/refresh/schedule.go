package refresh

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tokend/daemon/clock"
)

// longestNap bounds how long the schedule sleeps, because Go's timers stand still while
// the host is suspended: after a resume what is due is noticed this soon.
const longestNap = 10 * time.Second

// schedule is the heap of all that is due, earliest first. A credential costs one
// slot, not a goroutine or a timer.
type schedule struct {
	mu   sync.Mutex
	heap dueHeap
	// kick is a level trigger: the earliest due time may have changed.
	kick chan struct{}
}

func newSchedule() *schedule {
	return &schedule{kick: make(chan struct{}, 1)}
}

// set makes en due at the instant at; never takes it out.
func (s *schedule) set(en *entry, at clock.Instant) {
	s.mu.Lock()
	first := false
	switch {
	case at == never && en.place >= 0:
		heap.Remove(&s.heap, en.place)
	case at == never:
	case en.place >= 0:
		en.due = at
		heap.Fix(&s.heap, en.place)
		first = en.place == 0
	default:
		en.due = at
		heap.Push(&s.heap, en)
		first = en.place == 0
	}
	s.mu.Unlock()
	if first {
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}
}

// next takes out an entry that is due at now. With none it returns how long it is
// until the first is, longestNap at most.
func (s *schedule) next(now clock.Instant) (*entry, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.heap) == 0 {
		return nil, longestNap
	}
	if wait := s.heap[0].due.Sub(now); wait > 0 {
		return nil, min(wait, longestNap)
	}
	return heap.Pop(&s.heap).(*entry), 0
}

// dueHeap implements heap.Interface.
type dueHeap []*entry

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *dueHeap) Push(x any) {
	en := x.(*entry)
	en.place = len(*h)
	*h = append(*h, en)
}

func (h *dueHeap) Pop() any {
	old := *h
	en := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	en.place = -1
	return en
}

// planLocked makes en due when there is next something to do about it: a refresh, unless one is
// under way, or word to the watchers that its life has ended. en.mu is held.
func (e *Engine) planLocked(en *entry, now clock.Instant) {
	at := never
	if en.refresh != 0 && en.flight == nil {
		at = en.refresh
	}
	if c := en.valid(now); c != nil {
		at = min(at, c.end)
	}
	if en.gone != nil {
		at = never
	}
	e.schedule.set(en, at)
}

// Run refreshes what is due until ctx is done. It then starts nothing more,
// cancels the fetches under way, except those of rotating credentials, which it
// gives their time to end, and returns when nothing that it or a reader started is running.
// It is called once.
func (e *Engine) Run(ctx context.Context) error {
	var g errgroup.Group
	due := make(chan *entry)
	for range e.cfg.workers() {
		g.Go(func() error {
			for en := range due {
				e.renew(en)
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(due)
		e.dispatch(ctx, due)
		return nil
	})
	g.Go(func() error {
		e.save(ctx)
		return nil
	})
	g.Go(func() error {
		e.redate(ctx)
		return nil
	})
	e.resume()
	<-ctx.Done()
	e.life.Lock()
	e.stopped = true
	e.life.Unlock()
	e.cancel()
	e.flights.Wait()
	err := g.Wait()
	e.saveAll()
	e.watchers.close()
	return err
}

// dispatch hands out what is due to the workers.
func (e *Engine) dispatch(ctx context.Context, due chan<- *entry) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var ready []*entry // due for a refresh, waiting for a worker
	for {
		wait := e.collect(&ready)
		timer.Reset(wait)
		var out chan<- *entry
		var first *entry
		if len(ready) > 0 {
			out, first = due, ready[0]
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			e.clock.Resync()
		case <-e.schedule.kick:
		case out <- first:
			ready[0] = nil
			if ready = ready[1:]; len(ready) == 0 {
				ready = nil // lets go of the array of a burst
			}
		}
	}
}

// collect appends to ready what is due for a refresh now, announces what has ended, and
// returns how long nothing more is due.
func (e *Engine) collect(ready *[]*entry) time.Duration {
	for {
		now := e.clock.Now()
		en, wait := e.schedule.next(now)
		if en == nil {
			return wait
		}
		en.mu.Lock()
		e.tellLocked(en, now, false)
		if en.flight == nil && en.refresh != 0 && en.refresh <= now {
			*ready = append(*ready, en)
		} else {
			e.planLocked(en, now)
		}
		en.mu.Unlock()
	}
}

// renew refreshes en if that is still due, and returns when it is done.
func (e *Engine) renew(en *entry) {
	en.mu.Lock()
	now := e.clock.Now()
	if en.gone != nil || en.flight != nil || en.refresh == 0 || en.refresh > now {
		if en.flight == nil {
			e.planLocked(en, now)
		}
		en.mu.Unlock()
		return
	}
	if h := en.paused(now); h != nil {
		en.refresh = h.until
		e.planLocked(en, now)
		en.mu.Unlock()
		return
	}
	p := en.spec.Load().Kind.policy()
	if p.pushed > 0 || p.lapses && !en.outdated {
		en.mu.Unlock()
		if p.pushed > 0 {
			e.quiet(en)
			return
		}
		if e.lapse(en, now) {
			return
		}
		en.mu.Lock()
		if en.flight != nil {
			en.mu.Unlock()
			return
		}
	}
	cause := CauseSchedule
	if en.started {
		cause = CauseStart
	}
	f, err := e.startLocked(en, cause)
	en.mu.Unlock()
	if err == nil {
		<-f.done
	}
}
