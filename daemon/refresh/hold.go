package refresh

import (
	"tokend/daemon/clock"
	"tokend/fetchers"
)

// hold is why a credential is not asked for just now. It is immutable. The short
// ones are the back-off after a passing fault, the long ones wait for a
// person; both are remembered over restarts, so that a crash loop asks no more
// than one run would.
type hold struct {
	reason   Reason
	class    fetchers.Reaction // 0 for a fault of transport
	errcode  int
	message  string
	rid      string
	address  string
	failures int // in a row, this one included
	quotas   int // of them, refusals by a quota
	settings string
	derived  bool // the parent's trouble: no reason not to ask the parent again

	since clock.Instant
	until clock.Instant // never: not of itself
}

// never is the end of a hold that only an event or an operator ends.
const never = clock.Instant(1<<63 - 1)

// failed returns how many refreshes in a row have failed; none of a nil hold.
func (h *hold) failed() int {
	if h == nil {
		return 0
	}
	return h.failures
}

// personal reports whether somebody must act before a call can succeed, or a
// quota must run out its time: the state is then Held, not merely Expired.
func (h *hold) personal() bool { return h.class > fetchers.Retry }

// operators reports whether h ends when an operator has fixed something: a reload says that it may
// have been done.
func (h *hold) operators() bool {
	return h.class == fetchers.Misconfigured || h.class == fetchers.AddressRefused
}

// err returns the hold as an error for a reader at now.
func (h *hold) err(now clock.Instant) *Error {
	after := Never
	switch {
	case h.until != never:
		after = max(h.until.Sub(now), 0)
	case h.reason == NoTicket:
		after = nextPush // it ends the hold, and comes without anybody's doing
	}
	return &Error{Reason: h.reason, RetryAfter: after, Message: h.message}
}
