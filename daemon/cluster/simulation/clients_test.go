package simulation

import (
	"context"
	"strings"
	"sync"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/refresh"
	"tokend/fetchers/secret"
)

// patience is how long a client waits for a value.
const patience = 8 * time.Second

// clients read what clients read on a host, until ctx is done.
func (p *process) clients(ctx context.Context) {
	h := p.host
	var mu sync.Mutex
	waiting := map[string]bool{} // a client waits for a name already
	for ctx.Err() == nil && h.world.script == nil {
		sleep(ctx, h.latency(3000, 9000))
		e := p.engine.Load()
		if e == nil || h.isPaused() || ctx.Err() != nil {
			continue
		}
		for _, name := range h.world.plan.names {
			if v, ok := e.Cached([]byte(name), e.Now()); ok {
				h.world.served(p, h.paused.Load(), name, v)
				continue
			}
			mu.Lock()
			again := waiting[name]
			waiting[name] = true
			mu.Unlock()
			if again {
				continue
			}
			h.world.ops.Go(func() {
				p.get(ctx, e, name)
				mu.Lock()
				defer mu.Unlock()
				waiting[name] = false
			})
		}
	}
}

// get reads a value and waits for it.
func (p *process) get(ctx context.Context, e *refresh.Engine, name string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pauses := p.host.paused.Load()
	v, err := e.Get(ctx, name)
	if err == nil {
		p.host.world.served(p, pauses, name, v)
	}
	return err
}

// served checks a value that a client has got just now. pauses is what h.paused was before the
// client asked: a value that was served before a pause and arrives after it proves nothing.
func (w *world) served(p *process, pauses int64, name string, served credential.Value) {
	h := p.host
	if p.isDead() || h.isPaused() || h.paused.Load() != pauses {
		return
	}
	w.mu.Lock()
	w.counts.reads++
	slack := rounding + w.rewound // nothing tells a host that its clock has stepped back
	w.mu.Unlock()
	v := w.truth.find(string(served.Text))
	if v == nil {
		if !strings.HasSuffix(name, "_ticket") && !strings.HasSuffix(name, "/pre_auth_code") {
			w.violate("%s serves a value of %s that WeChat has not issued", h.name, name)
		}
		return // a ticket, whose end WeChat does not state, or a code
	}
	now := time.Now()
	undated := (p.apart() || v.unmet) && w.turned() // dated by a wall clock, which may be wrong
	switch {
	case v.name != "" && v.name != name:
		w.violate("%s serves %s as %s", h.name, v, name)
	case undated:
	case now.After(v.ends.Add(slack)):
		w.violate("%s serves %s, which has ended", h.name, name)
	case now.Add(served.TTL).After(v.ends.Add(slack)):
		w.violate("%s serves %s for longer than it lives", h.name, name)
	case v.due && now.Sub(v.gone) > overlap+slack-rounding:
		w.violate("%s serves %s, which a refresh has replaced", h.name, name)
	}
}

// apart reports whether p is the first process of a boot and has not reached its peers yet, or etcd
// has lost all that said who they are. Then only the wall clock dates what an earlier boot has
// stored, and that clock may be wrong.
func (p *process) apart() bool {
	peers := p.peers.Load()
	p.host.mu.Lock()
	again := p.host.boot > 1
	p.host.mu.Unlock()
	return again && peers != nil && (peers.Stats().ConfirmedAge < 0 || p.host.world.wasEmptied())
}

// cutOff reports whether p does not reach etcd, or did not when it decided on the call that it
// makes now.
func (p *process) cutOff() bool {
	w := p.host.world
	w.mu.Lock()
	since := time.Since(w.eased)
	w.mu.Unlock()
	peers := p.peers.Load()
	return peers != nil && (!peers.Stats().Connected || since < patience)
}

// rounding is by how much expires_in may be too long: the least that WeChat answers is a second.
const rounding = time.Second

// act does what a client, an operator or WeChat does.
func (w *world) act(e event) {
	name := w.plan.names[(e.n>>8)%uint64(len(w.plan.names))]
	if w.plan.style == steered && (e.n>>20)%3 != 0 {
		name = firstCustomer
	}
	switch e.verb {
	case rejects:
		w.reject(w.hosts[e.host], name)
	case rejectsAll:
		for _, h := range w.hosts {
			w.reject(h, name)
		}
	case refreshes:
		w.use(w.hosts[e.host], func(ctx context.Context, p *process, en *refresh.Engine) {
			w.note(p.host, "REFRESH %s", name)
			v, err := en.Refresh(ctx, name)
			w.result(p, "REFRESH "+name, v.Text, err)
		})
	case authorizes, exchanges:
		w.authorize(e, customers[e.n%uint64(len(customers))])
	case leaves:
		w.ops.Go(func() { w.leave(e, customers[e.n%uint64(len(customers))]) })
	}
}

// use runs f with the engine of a host, if it is ready and not paused.
func (w *world) use(h *host, f func(context.Context, *process, *refresh.Engine)) {
	p := h.current()
	if p == nil || p.engine.Load() == nil || h.isPaused() {
		return
	}
	w.ops.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		f(ctx, p, p.engine.Load())
	})
}

// reject rejects the value that a host serves.
func (w *world) reject(h *host, name string) {
	w.use(h, func(ctx context.Context, p *process, e *refresh.Engine) {
		v, ok := e.Cached([]byte(name), e.Now())
		if !ok {
			_ = p.get(ctx, e, name)
			return
		}
		w.note(h, "REJECT %s", w.describe(name, v.Text))
		pauses := h.paused.Load()
		v, err := e.Reject(ctx, name, v.Text)
		if err == nil {
			w.served(p, pauses, name, v)
		}
		w.result(p, "REJECT "+name, v.Text, err)
	})
}

// result notes what a client got.
func (w *world) result(p *process, what string, text secret.Text, err error) {
	switch {
	case p.isDead():
	case err != nil:
		w.note(p.host, "%s: %v", what, err)
	default:
		w.note(p.host, "%s: %s", what, w.describe("OK", text))
	}
}

// describe returns which value of a credential text is.
func (w *world) describe(name string, text secret.Text) string {
	if v := w.truth.find(string(text)); v != nil && v.name != "" {
		return v.String()
	}
	return name
}
