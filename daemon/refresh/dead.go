package refresh

import (
	"tokend/daemon/clock"
	"tokend/fetchers/secret"
)

// This file is about parents whose value WeChat has refused to a child, as dead, before its end.
// The parent is then replaced. Until that has succeeded no other call is made with the value: each
// would be refused like the first, and WeCom blocks an address for calls that it refuses. The same
// holds for a value that has ended while a call waited.

// alive returns errDeadParent if value is known to be a dead value of parent. A caller that has
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
	return en.past != nil && en.past.dead != "" && en.past.dead == value
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
