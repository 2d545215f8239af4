package simulation

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"tokend/daemon/record"
	"tokend/daemon/refresh"
	"tokend/fetchers/secret"
)

// resent is after how long a message is sent again that was not accepted.
const resent = 5 * time.Second

// deliver sends a message to the host of e and to the healthy one, or to the latter only if the
// former has not accepted it. wait returns how long it is under way. f reports whether the host has
// accepted it.
func (w *world) deliver(e event, wait func(*host) time.Duration, f func(context.Context, *process, *refresh.Engine) error) {
	w.mu.Lock()
	hosts := []*host{w.hosts[e.host], w.hosts[w.healthy]}
	w.mu.Unlock()
	send := func(h *host) (accepted bool) {
		time.Sleep(wait(h))
		p := h.current()
		if p == nil || p.engine.Load() == nil || h.isPaused() {
			return false
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return f(ctx, p, p.engine.Load()) == nil && !p.isDead()
	}
	if !e.only {
		for _, h := range hosts {
			w.ops.Go(func() { send(h) })
		}
		return
	}
	w.ops.Go(func() {
		if !send(hosts[0]) {
			time.Sleep(resent)
			send(hosts[1])
		}
	})
}

// authorize makes a customer authorize again. The code arrives at a host and at the healthy one, as
// an event or by a client.
func (w *world) authorize(e event, c customer) (code string) {
	w.mu.Lock()
	withdrawn, ever := w.withdrawn[c]
	w.mu.Unlock()
	if ever && time.Since(withdrawn) < 2*time.Second {
		return "" // messages have whole seconds, and no customer is that fast
	}
	code = w.fake.Authorize(c.owner, c.id)
	at, lasts := time.Now(), time.Until(w.fake.Ends(code))
	undated := ever && w.turned() // WeChat does not date what a client submits, and a wrong clock might do so before the withdrawal
	w.mu.Lock()
	w.thirds[code] = at.Add(lasts * 2 / 3)
	w.named[code] = c.owner != suiteID && (e.verb != exchanges || undated)
	w.mu.Unlock()
	w.deliver(e, func(h *host) time.Duration { return h.latency(1, 300) }, func(ctx context.Context, p *process, en *refresh.Engine) (err error) {
		until := p.host.wallClock().Add(lasts)
		w.note(p.host, "a code of %s arrives", c.path)
		switch {
		case e.verb == exchanges && !undated:
			_, err = en.Exchange(ctx, c.ownerPath(), secret.Text(code))
		case c.owner == suiteID:
			err = en.Accept(ctx, c.ownerPath(), secret.Text(code), at, until)
		default:
			err = en.AcceptFrom(ctx, c.ownerPath(), c.id, secret.Text(code), at, until)
		}
		w.result(p, "the code of "+c.path, "", err)
		return err
	})
	return code
}

// isNamed reports whether a code came with the name of its customer.
func (w *world) isNamed(code string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.named[code]
}

// byClient is the bit of an event's n that has a client submit the code after a withdrawal.
const byClient = 1 << 30

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
	var heard atomic.Bool
	w.deliver(e, func(h *host) time.Duration { return h.latency(1, late) }, func(ctx context.Context, p *process, en *refresh.Engine) error {
		err := en.Revoke(ctx, c.grant(), at)
		heard.Store(heard.Load() || err == nil && !p.isDead())
		w.result(p, "the withdrawal of "+c.path, "", err)
		return err
	})
	if e.verb = authorizes; e.n&byClient != 0 {
		e.verb = exchanges
	}
	time.Sleep(w.hosts[e.host].latency(1100, 20_000))
	w.mu.Lock()
	w.unheard[c] = w.unheard[c] || !heard.Load()
	w.mu.Unlock()
	for code := ""; !w.isOver() && !w.hasGrant(c) && !w.keeps(code); {
		code = w.authorize(e, c)
		time.Sleep(30 * time.Second)
	}
}

// keeps reports whether a host has the answer to a code on its disk. Its customer does not
// authorize again then.
func (w *world) keeps(code string) bool {
	w.mu.Lock()
	lost := w.diskLost
	w.mu.Unlock()
	w.truth.mu.Lock()
	defer w.truth.mu.Unlock()
	return !lost && w.truth.kept[code]
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
		at := w.stamp(o.name)
		value := secret.Text(w.fake.TicketPush(o.owner).Event.Ticket)
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

// stamp returns when WeChat sends the next ticket of a name: not in the second of the one before.
func (w *world) stamp(name string) time.Time {
	for {
		at := time.Now().Truncate(time.Second)
		w.mu.Lock()
		later := at.After(w.stamped[name])
		if later {
			w.stamped[name] = at
		}
		w.mu.Unlock()
		if later {
			return at
		}
		time.Sleep(100 * time.Millisecond)
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
		at := w.stamp(verifyTicket)
		all[i] = ticket{w.fake.TicketPush(component).Event.Ticket, at}
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
