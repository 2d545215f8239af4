package refresh

import (
	"context"
	"fmt"
	"time"

	"tokend/daemon/clock"
	"tokend/fetchers/secret"
)

// Push stores a ticket that WeChat has pushed, with the time that the message itself
// states; zero for none, which counts as now and as later than what is stored. It replaces the stored one if its
// time is later, or the same and the value another; stragglers and replays change
// nothing. The ticket lives from its own time, or from its arrival where that
// is off by more than ten minutes. It is durable when Push returns nil. What the disk refuses is in
// force all the same, and written as soon as that is possible: nobody can ask for it.
func (e *Engine) Push(ctx context.Context, name string, value secret.Text, at time.Time) error {
	changed, err := e.push(ctx, name, value, at)
	if changed {
		e.wakeChildren(name)
	}
	return err
}

// push does so in the turn of the name, which makes comparing, writing and publishing one step.
func (e *Engine) push(ctx context.Context, name string, value secret.Text, at time.Time) (changed bool, err error) {
	end, err := e.turns.take(ctx, name)
	if err != nil {
		return false, err
	}
	defer end()
	en, err := e.entry(name)
	if err != nil {
		return false, err
	}
	p := en.policy()
	if p.pushed == 0 {
		return false, &Error{Reason: Unfit, RetryAfter: Never, Message: name + " is not pushed"}
	}
	wall, now := time.Now(), e.clock.Now()
	before, after := en.current.Load(), ticket(p, value, at, wall, now)
	if at.IsZero() && before != nil && outranks(before.stamp(), after.stamp(), wall) {
		// What has no time of its own comes after all that is stored, also where WeChat's clock,
		// by which that is dated, is ahead.
		after.pushed.stamp = before.stamp()
	}
	if before != nil && !after.supersedes(before, wall) {
		e.log.Debug("push changes nothing: what is stored is newer, or the same", "name", name)
		return false, e.settle(ctx, en, before)
	}
	if before != nil {
		after.pushed.previous = before.text
	}
	refused := e.cfg.Store.Put(ctx, e.keep(name, after))
	en.mu.Lock()
	if why := en.gone(); why != nil {
		en.mu.Unlock()
		return false, why // its account was taken out of the configuration this moment
	}
	failures := 0
	if en.hold != nil {
		failures = en.hold.failures
	}
	en.hold, en.volatile = nil, refused != nil
	en.current.Store(after)
	en.remember(Attempt{At: wall.UTC(), Cause: CausePush, Outcome: "ok"})
	en.refresh = now.Add(p.quiet)
	e.tellLocked(en, now, true)
	e.planLocked(en, now)
	en.mu.Unlock()
	if refused != nil {
		e.unsaved.add(en)
		err = fmt.Errorf("keep a pushed ticket, which is in force in memory: %w", refused)
	}
	e.log.Info("ticket pushed", "name", name, "expires_in", after.end.Sub(now).Round(time.Second), "fingerprint", e.mark.of(value), "failures_before", failures, "durable", refused == nil)
	return true, err
}

// settle returns nil if c, which is in force as en's, is on disk, or goes there now. It is called in
// the turn of the name.
func (e *Engine) settle(ctx context.Context, en *entry, c *credential) error {
	en.mu.Lock()
	volatile := en.volatile
	en.mu.Unlock()
	if !volatile {
		return nil
	}
	if err := e.cfg.Store.Put(ctx, e.keep(en.name, c)); err != nil {
		return fmt.Errorf("keep a pushed ticket, which is in force in memory: %w", err)
	}
	en.mu.Lock()
	en.volatile = false
	en.mu.Unlock()
	return nil
}

// ticket returns what a push at now, which says that it is of the time at, makes of value.
func ticket(p *policy, value secret.Text, at, wall time.Time, now clock.Instant) *credential {
	stamp := believed(at, wall)
	issued := now
	if age := wall.Sub(stamp); age <= tolerance {
		issued = now.Add(-age)
	}
	return &credential{
		text: value, issued: issued, seen: now, end: issued.Add(p.pushed), life: p.pushed,
		pushed: &pushed{stamp: stamp.Round(0)},
	}
}

// supersedes reports whether c, pushed at wall, replaces before. A stamp that is still to come says nothing: it
// was taken from a clock that has been set back since, and would outrank all
// true ones until then.
func (c *credential) supersedes(before *credential, wall time.Time) bool {
	stood, comes := before.stamp(), c.stamp()
	switch {
	case stood.Sub(wall) > tolerance:
		return true
	case stood.Equal(comes):
		return before.text != c.text
	}
	return comes.After(stood)
}

// nudgeEvery is how often WeChat is asked to push again: "at most hourly".
const nudgeEvery = time.Hour

// nudgeBudgets keep to that over restarts.
var nudgeBudgets = []budget{{word: "start push", calls: "calls of api_start_push_ticket", window: nudgeEvery, limit: 1}}

// quiet takes note that no push has come for too long, says so, and asks WeChat to push
// where it can be asked.
func (e *Engine) quiet(en *entry) {
	spec, err := e.lookup(en.name)
	if err != nil {
		return // its account was taken out of the configuration this moment
	}
	now := e.clock.Now()
	en.mu.Lock()
	failures := 1
	if en.hold != nil {
		failures = en.hold.failures + 1
	}
	since := "since the start"
	if c := en.current.Load(); c != nil {
		since = fmt.Sprintf("for %s", now.Sub(c.seen).Round(time.Minute))
	}
	h := &hold{
		reason: NoTicket, message: "no push " + since, failures: failures,
		settings: spec.Settings, derived: true, since: now, until: now.Add(nudgeEvery),
	}
	en.hold, en.refresh = h, h.until
	valid := en.valid(now) != nil
	e.tellLocked(en, now, false)
	e.planLocked(en, now)
	en.mu.Unlock()
	e.log.Warn("WeChat has not pushed a ticket for too long", "name", en.name, "quiet", since, "serving", valid)
	if spec.Nudge == nil {
		return
	}
	if err := e.charge(e.base, &spec, usage{budgets: nudgeBudgets}); err != nil {
		return // asked less than an hour ago, maybe by an earlier run
	}
	if err := e.slot(e.base, &e.weixin, false, spec.Nudge); err != nil {
		e.log.Warn("WeChat was asked to push tickets again and refused", "name", en.name, "error", err)
		return
	}
	e.log.Info("WeChat was asked to push tickets again", "name", en.name)
}

// expect makes entries of all pushed tickets that the catalog knows, so that their
// absence is noticed.
func (e *Engine) expect(now clock.Instant) {
	c := *e.catalog.Load()
	for name := range c.Names() {
		spec, err := c.Lookup(name)
		if err != nil || spec.Kind.policy().pushed == 0 || e.index.get(name) != nil {
			continue
		}
		made := e.newEntry(&spec)
		made.refresh = now.Add(spec.Kind.policy().quiet)
		made.mu.Lock()
		if e.index.add(made) == made {
			e.tellLocked(made, now, false)
			e.planLocked(made, now)
		}
		made.mu.Unlock()
	}
}

// nextPush is after how long it is worth looking for a ticket again. A push comes every ten minutes.
const nextPush = time.Minute

// noTicket is the error of a ticket that has not been pushed, or has expired.
func noTicket(name string) *Error {
	return &Error{Reason: NoTicket, RetryAfter: nextPush, Message: name + " has not been pushed, or has expired"}
}
