package refresh

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers"
)

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
func (w *world) judge(l *life, name string, v credential.Value, err error, start int, missing bool) {
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
	case t.kind.PerAsk && is.read:
		w.violate("%s: %s was handed out twice", name, string(v.Text))
	}
	t.seen = max(t.seen, is.gen)
	is.read = true
	if !t.kind.PerAsk {
		t.valid = now + v.TTL
		if now-t.answered < 2*modelDawdle {
			t.valid = min(t.valid, t.ended)
		}
	}
}

// probe reads everything there is without waiting: what was valid must be there, as soon as all is
// loaded.
func (m *model) probe() {
	l := m.w.life
	atOnce, cancel := context.WithCancel(context.Background())
	cancel()
	for _, name := range modelNames {
		start := m.w.look(name)
		loaded := m.isLoaded()
		v, ok := m.Cached([]byte(name), m.Now())
		if !loaded {
			var err error
			v, err = m.Get(atOnce, name)
			ok = err == nil
		}
		if ok {
			m.reads++
			m.w.judge(l, name, v, nil, start, m.gone(name))
			continue
		}
		m.w.mu.Lock()
		t := m.w.names[name]
		if g := m.w.grants[customerOf(name)]; loaded && m.w.now() < t.valid && !l.killed && !m.missing[accountOf(name)] && (g == nil || !g.revoked && g.changing == 0) {
			m.w.violate("%s: a value that lives for %v is not served", name, t.valid-m.w.now())
		}
		m.w.mu.Unlock()
	}
}

// reborn notes that an engine begins where another has ended, by a kill or a stop.
// mu is not held.
func (w *world) reborn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.names {
		t.dead = ""
		t.quotas = 0 // the record may be another's: what waits for a parent writes none
		if w.life.rough || w.life.killed && w.life.end-t.answered < 2*modelDawdle {
			t.unlisted = max(t.unlisted, t.wasUnlisted) // the record of its hold may be there still
		}
		t.wasUnlisted = 0
		if w.life.rough || w.life.killed && w.life.end-t.told < 2*modelDawdle || t.kind.PerAsk {
			t.lift() // it may not have been written, or never is
		}
		if t.class == fetchers.AddressRefused {
			t.lift() // a restart ends it
		}
		if w.life.rough {
			t.valid, t.seen = 0, 0
		}
	}
	for _, g := range w.grants {
		g.delivered = 0
	}
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

// checkGrants compares the grants on disk with those that must be there: what was acknowledged as
// durable and, if everything has been written, what WeChat has said.
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
			m.w.violate("%s: grant !%d is on disk, and !%d was acknowledged", c, newest, g.acked)
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
	for _, account := range slices.Sorted(maps.Keys(m.missing)) {
		if m.missing[account] {
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
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute+listFresh)
	defer cancel()
	start := m.w.look(name)
	m.w.asks(name)
	v, err := m.Get(ctx, name)
	if e, ok := errors.AsType[*credential.Error](err); ok && e.Reason == credential.Refused && 0 < e.RetryAfter && e.RetryAfter <= listFresh {
		time.Sleep(e.RetryAfter) // the customer list has just been read for another
		v, err = m.Get(ctx, name)
	}
	if e, ok := errors.AsType[*credential.Error](err); ok && e.Reason == credential.Limited {
		// WeChat's quotas are over by now: the pauses are an hour at most.
		if !strings.HasPrefix(e.Message, "no call made: ") {
			m.w.violateNow("%s: still paused for %v: %v", name, e.RetryAfter, err)
		}
		m.w.freeNow(name, 1)
		v, err = m.Refresh(ctx, name)
		m.w.freeNow(name, -1)
		if reason(err) == credential.Limited {
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
		if g := m.w.grants[c]; !g.authorized || !kept.Live() || grantGen(kept.Value) != g.gen {
			if reason(err) != credential.Reauth {
				m.w.violate("%s: %v, want REAUTH", name, err)
			}
			return
		}
		m.w.violate("%s: %v, and everything is in order", name, err)
		return
	}
	m.w.violateNow("%s: %v, and everything is in order", name, err)
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
