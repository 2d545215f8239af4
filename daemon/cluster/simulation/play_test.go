package simulation

import (
	"context"
	"time"
)

// play plays the schedule. Nothing of it runs when play returns.
func (w *world) play() {
	ctx, cancel := context.WithCancel(context.Background())
	for _, h := range w.hosts {
		h.start()
	}
	if w.begin(ctx) {
		w.ops.Go(func() {
			for ctx.Err() == nil {
				sleep(ctx, w.plan.life/12)
				w.pushTickets(ctx)
			}
		})
		w.rest(3 * time.Minute)
		if w.plan.aged {
			w.do(event{verb: backsUp})
			time.Sleep(time.Hour)
		}
		for _, x := range w.plan.rounds {
			if w.isOver() {
				break
			}
			w.playRound(x)
			w.rest(10 * time.Minute)
		}
		w.renew()
		w.budgets()
	}
	cancel()
	w.end()
}

// renew checks that nothing keeps a host from using the first customer's grant: a REJECT brings a
// new token.
func (w *world) renew() {
	h := w.hosts[mix(w.plan.seed)%uint64(len(w.hosts))]
	before := w.truth.current()[firstCustomer].number
	for begun := time.Now(); !w.isOver() && w.truth.current()[firstCustomer].number == before; time.Sleep(5 * time.Second) {
		if time.Since(begun) > 10*time.Minute {
			w.violate("%s calls no more for %s", h.name, firstCustomer)
			return
		}
		w.reject(h, firstCustomer)
	}
	if !w.isOver() {
		w.rest(10 * time.Minute)
	}
}

// isOver reports whether a promise is broken or the residual risk was met.
func (w *world) isOver() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.wrong) > 0 || w.residual
}

// begin waits for the hosts and gives them what is not fetched. It reports whether that was
// possible.
func (w *world) begin(ctx context.Context) bool {
	for range 300 {
		time.Sleep(100 * time.Millisecond)
		ready := 0
		for _, h := range w.hosts {
			if p := h.current(); p != nil && p.engine.Load() != nil {
				ready++
			}
		}
		if ready < len(w.hosts) {
			continue
		}
		w.pushTickets(ctx)
		for i, c := range customers {
			value := w.fake.AddCustomer(c.owner, c.id)
			w.fake.Hide(c.owner, c.id)
			if err := w.hosts[i%len(w.hosts)].put(c.grant(), value); err != nil {
				w.violate("PUT %s: %v", c.grant(), err)
			}
		}
		return true
	}
	w.violate("the hosts do not start")
	return false
}

// playRound does what happens in a round, until all faults have ended and nothing is late any more.
func (w *world) playRound(x round) {
	begun := time.Now()
	w.mu.Lock()
	w.rounds++
	w.healthy = x.healthy
	clear(w.taken)
	for _, e := range x.events {
		if e.step != noStep {
			w.armed = append(w.armed, e)
		}
	}
	w.mu.Unlock()
	w.note(nil, "a round begins; host%d is healthy", x.healthy)
	for _, e := range x.events {
		if e.step == noStep {
			time.Sleep(e.at - time.Since(begun))
			w.do(e)
		}
	}
	time.Sleep(x.lasts - time.Since(begun))
	w.heal()
	time.Sleep(lateAtMost)
}

// end stops all hosts, and waits until nothing runs any more.
func (w *world) end() {
	w.mu.Lock()
	w.rounds++
	w.mu.Unlock()
	for _, h := range w.hosts {
		w.ops.Go(h.shut)
	}
	ended := make(chan struct{})
	go func() {
		w.ops.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return
	case <-time.After(10 * time.Minute):
		w.violate("the hosts do not stop within 10 min")
	}
	for _, h := range w.hosts {
		h.crash(true, false)
	}
	<-ended
}
