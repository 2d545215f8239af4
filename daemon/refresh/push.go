package refresh

import (
	"context"
	"fmt"
	"time"

	"tokend/daemon/clock"
	"tokend/fetchers/secret"
)

// Push stores a ticket that WeChat has pushed, with the time that the message itself
// states; zero for none, which counts as now. It replaces the stored one if its
// time is later, or the same and the value another; stragglers and replays change
// nothing. The ticket lives from its own time, or from its arrival where that
// is off by more than ten minutes. It is durable when Push returns nil.
func (e *Engine) Push(ctx context.Context, name string, value secret.Text, at time.Time) error {
	en, err := e.entry(name)
	if err != nil {
		return err
	}
	p := en.spec.Load().Kind.policy()
	if p.pushed == 0 {
		return &Error{Reason: Unfit, RetryAfter: Never, Message: name + " is not pushed"}
	}
	e.pushes.Lock()
	defer e.pushes.Unlock()
	wall, now := time.Now(), e.clock.Now()
	stamp := believed(at, wall)
	before := en.current.Load()
	if before != nil && (before.stamp.After(stamp) || before.stamp.Equal(stamp) && before.text == value) {
		e.log.Debug("push changes nothing: what is stored is newer, or the same", "name", name)
		return nil
	}
	issued := now
	if age := wall.Sub(stamp); age <= tolerance {
		issued = now.Add(-age)
	}
	after := &credential{
		text: value, issued: issued, seen: now, end: issued.Add(p.pushed), life: p.pushed,
		stamp: stamp.Round(0),
	}
	if before != nil {
		after.previous = before.text
	}
	if err := e.cfg.Store.Put(ctx, e.keep(name, after)); err != nil {
		return fmt.Errorf("keep a pushed ticket: %w", err)
	}
	en.mu.Lock()
	failures := 0
	if en.hold != nil {
		failures = en.hold.failures
	}
	en.hold = nil
	en.current.Store(after)
	en.history.add(Attempt{At: wall.UTC(), Cause: CausePush, Outcome: "ok"})
	en.refresh = now.Add(p.quiet)
	e.tellLocked(en, now, true)
	e.planLocked(en, now)
	en.mu.Unlock()
	e.log.Info("ticket pushed", "name", name, "expires_in", after.end.Sub(now).Round(time.Second), "fingerprint", after.fingerprint(), "failures_before", failures)
	e.wakeChildren(name)
	return nil
}

// nudgeEvery is how often WeChat is asked to push again: "at most hourly".
const nudgeEvery = time.Hour

// quiet takes note that no push has come for too long, says so, and asks WeChat to push
// where it can be asked.
func (e *Engine) quiet(en *entry) {
	spec := en.spec.Load()
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
	nudged := en.nudged
	if nudged == 0 || now.Sub(nudged) >= nudgeEvery {
		en.nudged = instantOf(now)
	}
	e.tellLocked(en, now, false)
	e.planLocked(en, now)
	en.mu.Unlock()
	e.log.Warn("WeChat has not pushed a ticket for too long", "name", en.name, "quiet", since, "serving", valid)
	if spec.Nudge == nil || nudged != 0 && now.Sub(nudged) < nudgeEvery {
		return
	}
	ctx, cancel := context.WithTimeout(e.base, e.cfg.timeout())
	defer cancel()
	if err := spec.Nudge(ctx); err != nil {
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
		en := e.index.add(newEntry(spec))
		en.mu.Lock()
		en.refresh = now.Add(spec.Kind.policy().quiet)
		en.shown = Waiting
		e.planLocked(en, now)
		en.mu.Unlock()
	}
}

// noTicket is the error of a ticket that has not been pushed, or has expired. A push
// comes every ten minutes.
func noTicket(name string) *Error {
	return &Error{Reason: NoTicket, RetryAfter: time.Minute, Message: name + " has not been pushed, or has expired"}
}
