package refresh

import (
	"tokend/daemon/clock"
	"tokend/daemon/record"
)

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
