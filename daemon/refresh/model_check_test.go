package refresh

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// op returns what does a step that asks the engine for something, and judges what came of it.
func (m *model) op(s step) func() {
	e, l := m.Engine, m.w.life
	m.made++
	n := m.made
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
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
	read := func(name string, f func() (Value, error)) func() {
		m.reads++
		return run(func() error {
			start, before, changes := m.w.look(name), m.gone(name), m.changed()
			v, err := f()
			m.w.judge(l, name, v, err, start, before && changes == m.changed())
			return err
		})
	}
	switch s.verb {
	case "get":
		return read(s.name, func() (Value, error) { return e.Get(ctx, s.name) })
	case "reject":
		return read(s.name, func() (Value, error) {
			v, _ := e.Cached([]byte(s.name))
			return e.Reject(ctx, s.name, v.Text)
		})
	case "reject old":
		return read(s.name, func() (Value, error) { return e.Reject(ctx, s.name, secret.Text(s.name+"#0")) })
	case "refresh":
		return read(s.name, func() (Value, error) {
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

// gone reports whether the account of name is out of the configuration.
func (m *model) gone(name string) bool {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	return m.missing[accountOf(name)]
}

// changed returns how often the configuration has changed.
func (m *model) changed() int {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	return m.changes
}

// look returns the newest generation of name that a reader has got.
func (w *world) look(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.names[name].seen
}

// judge holds what a reader got to what is true.
func (w *world) judge(l *life, name string, v Value, err error, start int, missing bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil || l.killed {
		return
	}
	t, now := w.names[name], w.now()
	w.note("  read %s for %v", string(v.Text), v.TTL)
	is := t.values[string(v.Text)]
	switch g := w.grants[customerOf(name)]; {
	case is == nil:
		w.violate("%s: read %s, which WeChat has never given", name, string(v.Text))
		return
	case missing:
		w.violate("%s: read, and not configured", name)
	case g != nil && g.revoked && g.changing == 0:
		w.violate("%s: read %s after the revocation", name, string(v.Text))
	case now >= is.end || now+v.TTL > is.end:
		w.violate("%s: read %s for %v, which dies in %v", name, string(v.Text), v.TTL, is.end-now)
	case is.gen < start:
		w.violate("%s: read %s after #%d", name, string(v.Text), start)
	case t.kind.policy().perAsk && is.gen <= t.seen:
		w.violate("%s: %s was handed out twice", name, string(v.Text))
	}
	t.seen = max(t.seen, is.gen)
	if !t.kind.policy().perAsk {
		t.valid = now + v.TTL
		if now-t.answered < 2*modelDawdle {
			t.valid = min(t.valid, t.ended)
		}
	}
}

// probe reads everything there is without waiting: what was valid must be there.
func (m *model) probe() {
	l := m.w.life
	for _, name := range modelNames {
		start := m.w.look(name)
		v, ok := m.Cached([]byte(name))
		if ok {
			m.reads++
			m.w.judge(l, name, v, nil, start, m.gone(name))
			continue
		}
		m.w.mu.Lock()
		t := m.w.names[name]
		if g := m.w.grants[customerOf(name)]; m.w.now() < t.valid && !l.killed && !m.missing[accountOf(name)] && (g == nil || !g.revoked && g.changing == 0) {
			m.w.violate("%s: a value that lives for %v is not served", name, t.valid-m.w.now())
		}
		m.w.mu.Unlock()
	}
}

// freeNow notes that an operator asks for name.
func (w *world) freeNow(name string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[name].freed += n
}

// push hands in the nth ticket, of the time at.
func (m *model) push(ctx context.Context, e *Engine, name string, at time.Time, n int) error {
	value := fmt.Sprintf("%s#%d", name, n)
	m.w.mu.Lock()
	t := m.w.names[name]
	life := t.kind.policy().pushed
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

// put hands in the grant that WeChat regards as current.
func (m *model) put(ctx context.Context, e *Engine, l *life, customer string) error {
	m.w.mu.Lock()
	g := m.w.grants[customer]
	gen := g.gen
	g.revoked = false
	g.changing++
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
	g.authorised, g.revoked = true, false
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
	g.authorised = false
	m.w.mu.Unlock()
	time.Sleep(time.Second) // the message is later than what it ends
	m.w.leaving(customer)
	err := e.Revoke(ctx, customer+"/"+customers[customer], time.Now())
	m.w.leaving(customer)
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	if err == nil && !l.killed && g.changing == 0 && !g.authorised && !m.missing[accountOf(customer)] {
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
		}
	}
}

// reconfigured notes that an account has changed or is gone.
func (w *world) reconfigured(account string, gone bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, t := range w.names {
		if accountOf(name) != account {
			continue
		}
		t.settings++
		t.held = 0
		if gone {
			t.valid, t.seen = 0, 0
		}
	}
}

// reborn notes that an engine begins where another has ended, by a kill or because it was told to.
// mu is not held.
func (w *world) reborn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.names {
		if w.life.rough || w.life.killed && w.life.end-t.told < 2*modelDawdle {
			t.held = 0 // it may not have come to be written
		}
		if w.life.rough {
			t.valid, t.seen = 0, 0
		}
	}
	for _, g := range w.grants {
		g.delivered = 0
	}
}

// reboot boots the host. Its wall clock, which did not see the suspends, is put right: to the
// engine, which has only that clock to go by then, more time has passed than has.
func (w *world) reboot() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.drift > 0 {
		time.Sleep(w.drift)
		w.drift = 0
		clear(w.called)
		for _, t := range w.names {
			t.valid, t.held = 0, 0
		}
	}
	w.boot++
	w.bootAt = w.now()
}

// forgetValid notes that no value need be believed to be alive.
func (w *world) forgetValid() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.names {
		t.valid = 0
	}
}

func (w *world) violateNow(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.violate(format, args...)
}

// endLife stops the engine in an orderly way and looks at what it leaves behind.
func (m *model) endLife() {
	m.ops.Wait()
	time.Sleep(longestNap + time.Second) // the end of a suspend is noticed
	synctest.Wait()
	if m.dead() {
		m.bury()
		m.start()
		m.ops.Wait()
		synctest.Wait()
	}
	m.watched.check(m)
	if !m.stop() {
		m.w.violateNow("Run has not returned after a stop")
	}
	m.watched.wait()
	if !m.dead() {
		m.checkGrants(!m.w.life.rough)
	}
	m.w.reborn()
}

// checkGrants compares the grants on disk with those that must be there: what was said to be durable
// and, if everything has been written, what WeChat has said.
func (m *model) checkGrants(orderly bool) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	for c, g := range m.w.grants {
		r, _ := m.disk.Get(record.Grants, c+"/"+customers[c])
		newest := 0 // generations count from 1
		kept, err := record.DecodeGrant(r)
		if r.Value != nil && err == nil {
			newest = max(grantGen(kept.Value), 0)
		}
		for _, e := range kept.Earlier {
			newest = max(newest, grantGen(e.Value))
		}
		if newest < g.acked {
			m.w.violate("%s: grant !%d is on disk, and !%d was said to be", c, newest, g.acked)
		}
		if orderly && max(grantGen(kept.Value), 0) < g.delivered {
			m.w.violate("%s: grant %s is on disk, and !%d was given", c, string(kept.Value), g.delivered)
		}
	}
}

// heal lets the weather clear, waits, and looks whether everything is there again.
func (m *model) heal() {
	m.disk.fail(nil)
	m.disk.Delay(0)
	m.w.mu.Lock()
	m.w.sick = false
	m.handle.left = -1
	m.w.note("the weather clears")
	m.w.mu.Unlock()
	for account, gone := range m.missing {
		if gone {
			m.do(step{verb: "catalog", name: account + "/", arg: 1}, true)
		}
	}
	for range 15 {
		if m.dead() { // the write at which it was to be killed was under way
			m.bury()
			m.start()
		}
		m.do(step{verb: "push", name: verify}, true)
		m.do(step{verb: "push", name: suiteTicket}, true)
		m.probe()
		time.Sleep(10 * time.Minute)
	}
	m.do(step{verb: "push", name: verify}, true)
	m.do(step{verb: "push", name: suiteTicket}, true)
	for _, name := range modelNames {
		m.check(name)
	}
}

// check looks whether name can be had, now that nothing is in its way.
func (m *model) check(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	start := m.w.look(name)
	v, err := m.Get(ctx, name)
	if reason(err) == Limited {
		// A day's quota: only an operator asks before it is over.
		m.w.freeNow(name, 1)
		v, err = m.Refresh(ctx, name)
		m.w.freeNow(name, -1)
		if reason(err) == Limited {
			return // twenty a day
		}
	}
	m.w.judge(m.w.life, name, v, err, start, false)
	if err == nil {
		return
	}
	if c := customerOf(name); customers[c] != "" {
		m.w.mu.Lock()
		defer m.w.mu.Unlock()
		r, _ := m.disk.Get(record.Grants, c+"/"+customers[c])
		kept, _ := record.DecodeGrant(r)
		if g := m.w.grants[c]; !g.authorised || !kept.Live() || grantGen(kept.Value) != g.gen {
			if reason(err) != Reauth {
				m.w.violate("%s: %v, want REAUTH", name, err)
			}
			return
		}
		m.w.violate("%s: %v, and everything is in order", name, err)
		return
	}
	m.w.violateNow("%s: %v, and everything is in order", name, err)
}

// watched is somebody who watches everything.
type watched struct {
	mu      sync.Mutex
	state   map[string]State
	changed map[string]bool
	done    chan struct{}
}

func watchAll(e *Engine) *watched {
	list, w := e.Watch("")
	s := &watched{state: map[string]State{}, changed: map[string]bool{}, done: make(chan struct{})}
	for _, l := range list {
		s.state[l.Name] = l.State
	}
	go func() {
		defer close(s.done)
		for l := range w.Events() {
			s.mu.Lock()
			s.state[l.Name], s.changed[l.Name] = l.State, true
			s.mu.Unlock()
		}
	}()
	return s
}

// wait returns when the engine has ended the watch.
func (s *watched) wait() { <-s.done }

// check compares what the watcher was told with what is.
func (s *watched) check(m *model) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, told := range s.state {
		st, err := m.Status(name)
		// What is let go is told as expired, and what then comes back begins as idle.
		gone := told == Expired && (m.index.get(name) == nil || st.State == Idle)
		if err != nil || !s.changed[name] || st.State == told || gone {
			continue
		}
		m.w.violateNow("%s is %s, and watchers believe in %s", name, st.State, told)
	}
}

// outcome sums up the run.
func (m *model) outcome() outcome {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	o := outcome{wrong: m.w.wrong, trace: m.w.trace}
	for _, t := range m.w.names {
		o.calls += t.calls
	}
	o.faults, o.reads, o.lives, o.kills, o.lived = m.w.faults, m.reads, m.lives, m.kills, m.w.now()
	return o
}

// setBack makes everything on disk look as if the wall clock had been set back since, to the time
// by before the newest of it.
func setBack(d *disk, by time.Duration) {
	var newest time.Time
	for r := range d.All(record.Credentials) {
		if c, err := record.DecodeCredential(r); err == nil && c.Seen.Wall.After(newest) {
			newest = c.Seen.Wall
		}
	}
	if !newest.IsZero() {
		by += time.Since(newest)
	}
	for _, table := range []record.Table{record.Credentials, record.Holds, record.Budgets, record.Grants, record.Codes} {
		for r := range d.All(table) {
			_ = d.Store.Put(context.Background(), later(r, by))
		}
	}
}

// later returns r as if the wall clock had been by further when it was written.
func later(r record.Record, by time.Duration) record.Record {
	move := func(ms ...*record.Moment) {
		for _, m := range ms {
			if !m.Wall.IsZero() {
				m.Wall = m.Wall.Add(by)
			}
		}
	}
	at := func(ts ...*time.Time) {
		for _, t := range ts {
			if !t.IsZero() {
				*t = t.Add(by)
			}
		}
	}
	switch r.Table {
	case record.Credentials:
		c, _ := record.DecodeCredential(r)
		move(&c.Issued, &c.Seen, &c.End)
		at(&c.Stamp)
		return c.Encode()
	case record.Holds:
		h, _ := record.DecodeHold(r)
		move(&h.Since, &h.Until)
		return h.Encode()
	case record.Budgets:
		b, _ := record.DecodeBudget(r)
		for i := range b.Slices {
			move(&b.Slices[i].First, &b.Slices[i].Last)
		}
		return b.Encode()
	case record.Grants:
		g, _ := record.DecodeGrant(r)
		at(&g.At) // Revoked is WeChat's
		for i := range g.Earlier {
			at(&g.Earlier[i].At)
		}
		return g.Encode()
	default:
		c, _ := record.DecodeCode(r)
		move(&c.Until, &c.Next) // At is WeChat's
		return c.Encode(r.Key)
	}
}
