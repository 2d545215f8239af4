package refresh

import "tokend/fetchers/secret"

// RejectCached is Reject where that makes no call: a value other than the rejected one is valid, or
// WeChat has repeated this one within the last minute. It reports false where Reject has to decide.
// It never blocks and never allocates.
func (e *Engine) RejectCached(name, value []byte) (Value, bool) {
	if !e.isLoaded() {
		return Value{}, false
	}
	en := e.index.find(name)
	if en == nil {
		return Value{}, false
	}
	now := e.Now()
	c := en.valid(now)
	switch {
	case c == nil:
		return Value{}, false
	case c.text != secret.Text(value):
		en.touch(now)
	case !en.hasRepeated(c, now):
		return Value{}, false
	}
	e.counts.rejects.Add(1)
	return Value{Text: c.text, TTL: c.end.Sub(now), Peg: &en.peg}, true
}

// hasRepeated reports whether c is current and WeChat has just repeated it. It does not wait for
// en.mu: it reports false while another goroutine holds it.
func (en *entry) hasRepeated(c *credential, now Instant) bool {
	if !en.mu.TryLock() {
		return false
	}
	defer en.mu.Unlock()
	return en.current.Load() == c && en.repeatedLocked(now)
}

// repeatedLocked reports whether WeChat has just repeated a rejected value. en.mu is held.
func (en *entry) repeatedLocked(now Instant) bool {
	p := en.past
	return p != nil && p.repeated != 0 && now.Sub(p.repeated) < repeatedFor
}
