package refresh

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tokend/daemon/credential"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// op returns what does a step that asks the engine for something, and judges what came of it.
func (m *model) op(s step) func() {
	e, l := m.Engine, m.w.life
	m.made++
	n := m.made
	ctx, cancel := context.WithTimeout(credential.WithUser(context.Background(), s.arg%3), 2*time.Minute)
	run := func(f func() error) func() {
		return func() {
			defer cancel()
			if err := f(); err != nil {
				m.w.mu.Lock()
				m.w.note("  %s %s: %v", s.verb, s.name, err)
				m.w.mu.Unlock()
			}
		}
	}
	read := func(name string, f func() (credential.Value, error)) func() {
		m.reads++
		return run(func() error {
			start, before, changes := m.w.look(name), m.gone(name), m.changed()
			m.w.asks(name)
			v, err := f()
			m.w.asks(name)
			m.w.judge(l, name, v, err, start, before && changes == m.changed())
			return err
		})
	}
	switch s.verb {
	case "get":
		return read(s.name, func() (credential.Value, error) { return e.Get(ctx, s.name) })
	case "reject":
		return read(s.name, func() (credential.Value, error) {
			v, _ := e.Cached([]byte(s.name), e.Now())
			return e.Reject(ctx, s.name, v.Text)
		})
	case "reject old":
		return read(s.name, func() (credential.Value, error) { return e.Reject(ctx, s.name, secret.Text(s.name+"#0")) })
	case "refresh":
		return read(s.name, func() (credential.Value, error) {
			m.w.freeNow(s.name, 1)
			defer m.w.freeNow(s.name, -1)
			return e.Refresh(ctx, s.name)
		})
	case "push", "push old":
		name := verify
		if s.arg%2 == 1 {
			name = suiteTicket
		}
		if s.name == verify || s.name == suiteTicket {
			name = s.name
		}
		at := time.Now().Truncate(time.Second)
		if s.verb == "push old" {
			at = at.Add(-time.Duration(s.arg%1800) * time.Second)
		}
		return run(func() error { return m.push(ctx, e, name, at, n) })
	case "put":
		return run(func() error { return m.put(ctx, e, l, s.customer()) })
	case "accept", "exchange":
		return run(func() error { return m.authorise(ctx, e, l, s, n) })
	case "revoke":
		return run(func() error { return m.revoke(ctx, e, l, s.customer()) })
	case "import":
		return run(func() error { _, err := e.Import(ctx, platform, 0); return err })
	}
	panic("no such verb: " + s.verb)
}

// asks notes that somebody asks for name.
func (w *world) asks(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[name].asked = time.Now()
}

// freeNow notes that an operator asks for name.
func (w *world) freeNow(name string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[name].freed += n
}

// push submits the nth ticket, of the time at.
func (m *model) push(ctx context.Context, e *Engine, name string, at time.Time, n int) error {
	value := fmt.Sprintf("%s#%d", name, n)
	m.w.mu.Lock()
	t := m.w.names[name]
	life := t.kind.Pushed
	// The engine believes a message's own time if it is off by no more than the tolerance.
	end := m.w.now() + life
	if age := time.Since(at); age <= tolerance {
		end -= age
	}
	t.values[value] = &issued{gen: 0, dies: end, end: end}
	t.valid = min(t.valid, end)
	m.w.mu.Unlock()
	return e.Push(ctx, name, secret.Text(value), at)
}

// put submits the grant that WeChat regards as current.
func (m *model) put(ctx context.Context, e *Engine, l *life, customer string) error {
	m.w.mu.Lock()
	g := m.w.grants[customer]
	gen := g.gen
	g.revoked = false
	g.changing++
	m.w.freeing(customer) // what lives by it may be called before Put returns
	m.w.mu.Unlock()
	err := e.Put(ctx, customer+"/"+customers[customer], grantValue(customer, gen))
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	g.changing--
	m.w.freeing(customer)
	if err == nil && !l.killed {
		g.acked = max(g.acked, gen)
	}
	return err
}

// authorise has a customer authorise, and the code exchanged.
func (m *model) authorise(ctx context.Context, e *Engine, l *life, s step, n int) error {
	customer := s.customer()
	owner, code := accountOf(customer), fmt.Sprintf("code-%d", n)
	m.w.mu.Lock()
	g := m.w.grants[customer]
	g.authorized, g.revoked = true, false
	g.gen++
	gen := g.gen
	g.before = m.w.now() + 5*time.Minute
	g.changing++
	m.w.codes[code] = customer
	m.w.mu.Unlock()
	if s.verb == "accept" {
		defer func() {
			m.w.mu.Lock()
			defer m.w.mu.Unlock()
			g.changing--
		}()
		return e.Accept(ctx, owner, secret.Text(code), time.Now(), time.Now().Add(time.Hour))
	}
	name, err := e.Exchange(ctx, owner, secret.Text(code))
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	g.changing--
	if err == nil && !l.killed {
		if name != customer {
			m.w.violate("%s: exchanged for %s", customer, name)
		}
		g.acked = max(g.acked, gen)
	}
	return err
}

// revoke has a customer take the authorization back.
func (m *model) revoke(ctx context.Context, e *Engine, l *life, customer string) error {
	m.w.mu.Lock()
	g := m.w.grants[customer]
	g.authorized = false
	m.w.mu.Unlock()
	time.Sleep(time.Second) // the message is later than what it ends
	m.w.leaving(customer)
	err := e.Revoke(ctx, customer+"/"+customers[customer], time.Now())
	m.w.leaving(customer)
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	if err == nil && !l.killed && g.changing == 0 && !g.authorized && !m.missing[accountOf(customer)] {
		g.revoked = true
		g.delivered = 0
	}
	return err
}

// leaving notes that a customer's values need not be there any more.
func (w *world) leaving(customer string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, t := range w.names {
		if strings.HasPrefix(name, customer+"/") {
			t.valid = 0
			t.dropped = max(t.dropped, w.now())
		}
	}
}

// reconfigured notes that an account has changed or is gone.
func (w *world) reconfigured(account string, gone bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, t := range w.names {
		// Also where the last call says otherwise: a flight that tries again has the hold of
		// before.
		t.quotas = 0
		if t.kind.PerAsk || t.class == fetchers.Misconfigured || t.class == fetchers.AddressRefused {
			t.lift() // a reload ends it
		}
		if accountOf(name) != account {
			continue
		}
		t.settings++
		t.dead = ""
		t.lift()
		if gone {
			t.valid, t.seen = 0, 0
		}
	}
}

// reboot boots the host. Its wall clock, which did not see the suspends, is corrected: to the
// engine, which has only that clock then, more time has passed than has.
func (w *world) reboot() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.drift > 0 {
		time.Sleep(w.drift)
		w.drift = 0
		clear(w.called)
		for _, t := range w.names {
			t.valid = 0
			t.lift()
		}
	}
	w.boot++
	w.bootAt = w.now()
}
