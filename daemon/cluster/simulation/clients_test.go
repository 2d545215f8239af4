package simulation

import (
	"context"
	"errors"
	"sync"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
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
		return // a ticket, whose end WeChat does not state, or a code
	}
	now := time.Now()
	if p.apart() {
		return
	}
	if v.unmet { // its end is the wall clock's, and may be late by as long as it took to get here
		return
	}
	switch {
	case v.name != "" && v.name != name:
		w.violate("%s serves %s as %s", h.name, v, name)
	case now.After(v.ends.Add(slack)):
		w.violate("%s serves %s, which has ended", h.name, name)
	case v.name != "" && now.Add(served.TTL).After(v.ends.Add(slack)):
		w.violate("%s serves %s for longer than it lives", h.name, name)
	case v.due && now.Sub(v.gone) > overlap+slack-rounding:
		w.violate("%s serves %s, which a refresh has replaced", h.name, name)
	}
}

// apart reports whether p is the first process of a boot and has not reached its peers yet. Then
// only the wall clock dates what an earlier boot has stored, and that clock may be wrong.
func (p *process) apart() bool {
	peers := p.peers.Load()
	p.host.mu.Lock()
	again := p.host.boot > 1
	p.host.mu.Unlock()
	return again && peers != nil && peers.Stats().ConfirmedAge < 0
}

// cutOff reports whether p does not reach etcd.
func (p *process) cutOff() bool {
	peers := p.peers.Load()
	return peers != nil && !peers.Stats().Connected
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

// receivers are the hosts that WeChat sends a message to: that of e, and the healthy one.
func (w *world) receivers(e event) []*host {
	w.mu.Lock()
	defer w.mu.Unlock()
	return []*host{w.hosts[e.host], w.hosts[w.healthy]}
}

// authorize makes a customer authorize again. The code arrives at a host and at the healthy one, as
// an event or by a client.
func (w *world) authorize(e event, c customer) {
	w.mu.Lock()
	withdrawn, ever := w.withdrawn[c]
	w.mu.Unlock()
	if ever && time.Since(withdrawn) < 2*time.Second {
		return // messages have whole seconds, and no customer is that fast
	}
	code := secret.Text(w.fake.Authorize(c.owner, c.id))
	at, lasts := time.Now(), time.Until(w.fake.Ends(string(code)))
	undated := ever && w.turned() // WeChat does not date what a client submits, and a wrong clock might do so before the withdrawal
	for _, h := range w.receivers(e) {
		w.use(h, func(ctx context.Context, p *process, en *refresh.Engine) {
			sleep(ctx, h.latency(1, 300))
			var err error
			until := h.wallClock().Add(lasts)
			w.note(h, "a code of %s arrives", c.path)
			switch {
			case e.verb == exchanges && !undated:
				_, err = en.Exchange(ctx, c.ownerPath(), code)
			case c.owner == suiteID:
				err = en.Accept(ctx, c.ownerPath(), code, at, until)
			default:
				err = en.AcceptFrom(ctx, c.ownerPath(), c.id, code, at, until)
			}
			w.result(p, "the code of "+c.path, "", err)
		})
	}
}

// leave makes a customer withdraw the authorization and authorize again. The new grant is in the
// answer to a code that can be used once: if that is lost, the customer has to authorize again. The
// message of the withdrawal may arrive after that of the new authorization.
func (w *world) leave(e event, c customer) {
	w.truth.busy(1)
	defer w.truth.busy(-1)
	w.note(nil, "%s: the authorization is withdrawn", c.path)
	w.mu.Lock()
	w.withdrawn[c] = time.Now()
	w.mu.Unlock()
	w.fake.Unauthorize(c.owner, c.id)
	at, late := time.Now().Truncate(time.Second), 30_000
	if w.turned() { // what was put at a wrong clock has no place in the order of messages
		late = 1000
	}
	for _, h := range w.receivers(e) {
		w.ops.Go(func() {
			time.Sleep(h.latency(1, late))
			w.use(h, func(ctx context.Context, p *process, en *refresh.Engine) {
				w.result(p, "the withdrawal of "+c.path, "", en.Revoke(ctx, c.grant(), at))
			})
		})
	}
	time.Sleep(w.hosts[e.host].latency(1100, 20_000))
	for !w.isOver() && !w.hasGrant(c) {
		w.authorize(e, c)
		time.Sleep(30 * time.Second)
	}
}

// hasGrant reports whether the store has the grant that is in force at WeChat.
func (w *world) hasGrant(c customer) bool {
	g, err := record.DecodeGrant(w.stored()[id{record.Grants, c.grant()}])
	return err == nil && g.Live() && tried(g, w.fake.CurrentGrant(c.owner, c.id))
}

// pushTickets pushes a ticket of the platform and of the suite to all hosts. Some of the pushes are
// late: newer tickets overtake them.
func (w *world) pushTickets(ctx context.Context) {
	for _, o := range []struct{ owner, name string }{{component, verifyTicket}, {suiteID, suiteTicket}} {
		value := secret.Text(w.fake.TicketPush(o.owner).Event.Ticket)
		at := time.Now().Truncate(time.Second)
		for _, h := range w.hosts {
			p := h.current()
			if p == nil || p.engine.Load() == nil || h.isPaused() {
				continue
			}
			wait := h.latency(1, 100)
			if w.script == nil && h.roll()%8 == 0 {
				wait = h.latency(20_000, 100_000)
			}
			w.ops.Go(func() {
				sleep(ctx, wait)
				w.push(ctx, p, o.name, ticket{string(value), at})
			})
		}
	}
}

// push pushes a ticket to a process.
func (w *world) push(ctx context.Context, p *process, name string, k ticket) {
	w.truth.busy(1)
	defer w.truth.busy(-1)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := p.engine.Load().Push(ctx, name, secret.Text(k.value), k.at)
	switch {
	case err == nil && !p.isDead():
		w.truth.acknowledged(name, k)
		w.note(p.host, "%s of %v: OK", name, k.at.Sub(w.began))
	case !p.isDead() && !errors.Is(err, context.Canceled):
		w.note(p.host, "push of %s: %v", name, err)
	}
}

// pushOld pushes a ticket to all hosts but one, which gets an older one after d.
func (w *world) pushOld(last *host, d time.Duration) {
	var all [2]ticket
	for i := range all {
		all[i] = ticket{w.fake.TicketPush(component).Event.Ticket, time.Now().Truncate(time.Second)}
		time.Sleep(1100 * time.Millisecond)
	}
	send := func(h *host, k ticket) {
		if p := h.current(); p != nil && p.engine.Load() != nil && !h.isPaused() {
			w.push(context.Background(), p, verifyTicket, k)
		}
	}
	for _, h := range w.hosts {
		if h != last {
			send(h, all[1])
		}
	}
	time.Sleep(d)
	send(last, all[0])
}
