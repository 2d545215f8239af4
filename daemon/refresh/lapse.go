package refresh

import (
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/record"
)

// errLapsed is what those are told who held on to an entry that has just lapsed: to
// look the name up again.
var errLapsed = &Error{Reason: Busy, RetryAfter: 1, Message: "lapsed this moment: ask again"}

// lapse lets a customer's credential go that nobody has asked for in its whole life, and reports whether it did. While its value lives it stays; then it takes no
// memory and no place on the disk. A hold stays on disk: the next who asks is to be
// told, not WeChat.
func (e *Engine) lapse(en *entry, now clock.Instant) bool {
	c := en.current.Load()
	if !en.unasked(now) {
		return false
	}
	if c != nil && now < c.end {
		en.mu.Lock()
		en.refresh = c.end
		e.planLocked(en, now)
		en.mu.Unlock()
		return true
	}
	if err := e.forget([]record.Record{{Table: record.Credentials, Key: en.name}}); err != nil {
		e.log.Error("cannot delete the record of a lapsed credential", "name", en.name, "error", err)
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.flight != nil || !en.unasked(now) {
		return false
	}
	e.dropLocked(en, errLapsed)
	return true
}

// unasked reports whether nobody has wanted the credential since its value came, but for the
// one it was fetched for; or, without a value, for as long as one would have lived.
func (en *entry) unasked(now clock.Instant) bool {
	asked := clock.Instant(en.asked.Load())
	c := en.current.Load()
	if c == nil {
		return now.Sub(asked) >= 2*time.Hour
	}
	return asked.Sub(c.issued) < shrink(time.Minute, c.life)
}
