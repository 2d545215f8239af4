package refresh

import (
	"time"

	"tokend/fetchers"
)

// This file ends the holds of an address that WeChat did not list. The operator who lists it does
// so for many accounts at once. Each account has a list of its own, so that only the success of one
// that was refused before tells something of the others.

// liftEvery is how often a success may end the holds of others: where the address changes from call
// to call, or is on some lists only, each ended hold is one more call that is refused.
const liftEvery = time.Minute

// restarted takes the addresses to be listed: an operator restarts tokend after a fix, too.
func (e *Engine) restarted() {
	now := int64(instantOf(e.clock.Now()))
	e.weixin.listed.Store(now)
	e.wecom.listed.Store(now)
}

// lifted reports whether h, which was kept of spec, has been ended while it was not in memory.
func (e *Engine) lifted(h *hold, spec *Spec) bool {
	since, reloaded := int64(h.since), e.reloaded.Load()
	return h.operators() && reloaded != 0 && since <= reloaded ||
		h.class == fetchers.AddressRefused && since <= e.host(spec.Kind.policy(), spec.Parent).listed.Load()
}

// succeeded takes note that a call at h has succeeded; the one before it for the same thing has
// caused was, nil for nothing. If that was refused because of the address, the other holds of the
// kind at the host end. What was held is refreshed at the pace of what is due.
func (e *Engine) succeeded(h *host, was *hold) {
	if was == nil || was.class != fetchers.AddressRefused {
		return
	}
	last, now := h.lifted.Load(), e.clock.Now()
	if last != 0 && int64(now)-last < int64(liftEvery) || !h.lifted.CompareAndSwap(last, int64(instantOf(now))) {
		return
	}
	e.liftOutlets(func(h *hold) bool { return h.class == fetchers.AddressRefused })
	h.listed.Store(int64(now))
	n := 0
	e.index.each(func(en *entry) bool {
		if e.lift(en, h, now) {
			n++
		}
		return true
	})
	if n > 0 {
		e.log.Info("WeChat accepts this host's address now: ended the holds of other credentials", "credentials", n)
	}
}

// shorten makes h end when a success at at may end holds again, if h is an address's that was
// refused less than liftEvery after one has done so: the operator may be completing the lists one
// by one.
func (h *hold) shorten(at *host) {
	last := at.lifted.Load()
	if next := Instant(last).Add(liftEvery); h.class == fetchers.AddressRefused && last != 0 && h.since < next {
		h.until = min(h.until, next)
	}
}

// lift ends the hold of en if it is one of an address that was refused by h, and reports whether it
// was.
func (e *Engine) lift(en *entry, h *host, now Instant) bool {
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.hold == nil || en.hold.class != fetchers.AddressRefused || en.paused(now) == nil || en.gone() != nil {
		return false
	}
	spec, err := e.lookup(en.name)
	if err != nil || e.host(spec.Kind.policy(), spec.Parent) != h {
		return false
	}
	e.applyLocked(en, woken{now}, now)
	return true
}
