package refresh

import (
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/record"
)

// errChanged is what those are told who held on to what has just lapsed or has been replaced: to
// look the name up again.
var errChanged = &Error{Reason: Busy, RetryAfter: 1, Message: "changed this moment: ask again"}

// lapse lets a customer's credential go that nobody has asked for in its whole life, and reports
// whether there is nothing to refresh. While its value lives it stays; then it takes no
// memory and no place on the disk. A hold stays on disk: the next who asks is to be
// told, not WeChat.
func (e *Engine) lapse(en *entry, now clock.Instant) bool {
	if !en.unasked(now) {
		return false
	}
	if c := en.valid(now); c != nil {
		en.mu.Lock()
		e.applyLocked(en, rescheduled{restUntil(c, now)}, now)
		en.mu.Unlock()
		return true
	}
	end, err := e.turns.take(e.base, en.name)
	if err != nil {
		return true // the engine is stopping
	}
	defer end()
	en.mu.Lock()
	if en.gone() != nil || en.flight != nil || !en.unasked(now) {
		en.mu.Unlock()
		return en.gone() != nil
	}
	e.dropLocked(en, errChanged)
	en.mu.Unlock()
	// Whoever asks now makes an entry anew, which writes when this turn has ended.
	if err := e.forget([]record.Record{{Table: record.Credentials, Key: en.name}}); err != nil {
		e.log.Error("cannot delete the record of a lapsed credential", "name", en.name, "error", err)
	}
	return true
}

// restLeast is how little of a life is left when it is not looked at any more before its end. After
// a start, in which nobody counts as having wanted anything, that is how long whoever uses a value
// has had to say so.
const restLeast = 5 * time.Second

// restUntil returns when to look again whether somebody wants c, which is due and which nobody has
// wanted: a few times before its end, each after half of what is left, so that whoever comes back
// late, or comes anew to a value that an earlier run has left, need not wait at the end.
func restUntil(c *credential, now clock.Instant) clock.Instant {
	left := c.end.Sub(now)
	if left <= shrink(restLeast, c.life) {
		return c.end
	}
	return now.Add(left / 2)
}

// unasked reports whether nobody has wanted the credential since its value came, but for the one it
// was fetched for; or, without a value, for as long as one would have lived. Who wanted a value in
// an earlier run is not known, and it counts as not wanted since: a restart prolongs no use that
// has ended.
func (en *entry) unasked(now clock.Instant) bool {
	asked := en.lastAsked()
	c := en.current.Load()
	if c == nil {
		return now.Sub(asked) >= 2*time.Hour
	}
	return asked == 0 || asked.Sub(c.issued) < shrink(time.Minute, c.life)
}
