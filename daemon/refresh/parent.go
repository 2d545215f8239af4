package refresh

import (
	"tokend/daemon/clock"
	"tokend/fetchers/secret"
)

// This file is about parents: values of theirs that are dead, and children that wait for another.

// alive returns errDeadParent if value is known to be a dead value of parent: WeChat has refused it
// to a child before its end, or it has expired while the caller waited. Each call with it would be
// refused like the first, and WeCom blocks an address for calls that it refuses. A caller that has
// waited for a slot checks the value again before its call.
func (e *Engine) alive(parent string, value secret.Text) error {
	if pe := e.index.get(parent); pe != nil && pe.dead(value, e.clock.Now()) {
		return errDeadParent
	}
	return nil
}

// dead reports whether value has ended, or WeChat has refused it to a child, and nothing has
// replaced it since.
func (en *entry) dead(value secret.Text, now clock.Instant) bool {
	en.mu.Lock()
	defer en.mu.Unlock()
	if c := en.current.Load(); c != nil && c.text == value && c.end <= now {
		return true
	}
	return en.history != nil && en.history.dead != "" && en.history.dead == value
}

// usable reports whether parent has a value that a call can be made with.
func (e *Engine) usable(parent string) bool {
	pe := e.index.get(parent)
	if pe == nil {
		return false
	}
	now := e.clock.Now()
	c := pe.valid(now)
	return c != nil && !pe.dead(c.text, now)
}

// sleepLocked notes that en waits for its parent. It need not wait if the parent has got another
// value than used, with which the call was made; "" for none. The parent publishes its value before
// it wakes who sleeps, so that one of the two sees the other. en.mu is held.
func (e *Engine) sleepLocked(en *entry, parent string, used secret.Text, now clock.Instant) {
	if !en.sleepsLocked() {
		return
	}
	e.sleepers.add(parent, en)
	pe := e.index.get(parent)
	if pe == nil {
		return
	}
	if c := pe.valid(now); c != nil && c.text != used {
		e.applyLocked(en, holdEnded{now.Add(soonest)}, now) // not at once: see failure
	}
}

// wakeChildren lets the children that wait for parent, which has recovered, ask again, and the
// authorization codes that wait for it be exchanged. What is on disk of their holds is left to the
// next call, which replaces it; a run that finds it looks at the parent (sleepLoadedLocked).
func (e *Engine) wakeChildren(parent string) {
	e.codes.wake(parent)
	now := e.clock.Now()
	for en := range e.sleepers.take(parent) {
		en.mu.Lock()
		if en.sleepsLocked() {
			e.applyLocked(en, holdEnded{now}, now)
		}
		en.mu.Unlock()
	}
}

// sleepLoadedLocked lets en, if it waits for its parent, wait on. It asks again at once if the
// ticket that it was refused with has been replaced since, and the run before ended before it could
// wake en. en.mu is held.
func (e *Engine) sleepLoadedLocked(en *entry, now clock.Instant) {
	if !en.sleepsLocked() {
		return
	}
	spec, err := e.lookup(en.name)
	if err != nil {
		return
	}
	parent := spec.Parent
	e.sleepers.add(parent, en)
	pe := e.index.get(parent)
	if pe == nil {
		return
	}
	if c := pe.valid(now); c != nil && c.seen > en.hold.since {
		e.applyLocked(en, holdEnded{now}, now)
	}
}
