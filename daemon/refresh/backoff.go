package refresh

import (
	"errors"
	"time"

	"tokend/daemon/clock"
	"tokend/fetchers"
)

// failed returns the hold that err alone calls for at now, when failures refreshes
// have failed in a row, this one included. life is the life of the value that was
// last known, zero for none; it shortens the back-off, not the holds.
func failed(err error, failures int, life time.Duration, careful bool, spread float64, now clock.Instant) *hold {
	h := &hold{failures: failures, since: now}
	api, ok := errors.AsType[*fetchers.APIError](err)
	if !ok {
		h.reason, h.message = Unreachable, err.Error()
		if _, own := errors.AsType[*faultError](err); own {
			h.reason, h.message = Internal, ownFault
		}
		if t, ok := errors.AsType[*fetchers.TransportError](err); !ok || !t.Sent {
			careful = false
		}
		h.until = now.Add(backoff(failures, life, careful, spread))
		return h
	}
	h.reason, h.class = Refused, api.Reaction
	h.errcode, h.message, h.rid, h.address = api.Code, api.Error(), api.RID, api.IP
	switch api.Reaction {
	case fetchers.Retry:
		h.until = now.Add(backoff(max(failures, quickTries+1), life, careful, spread))
	case fetchers.QuotaDay, fetchers.QuotaMinute:
		// The two have an errcode in common.
		h.reason, h.class = Limited, fetchers.QuotaMinute
		h.count(failures - 1)
	case fetchers.AddressRefused:
		h.until = now.Add(max(5*time.Minute, api.Pause))
	case fetchers.Reauthorize, fetchers.GrantRefused:
		h.reason = Reauth
		h.until = never
	case fetchers.CodeRefused:
		h.until = never
	case fetchers.NewTicket:
		h.reason = NoTicket
		h.until = never
	default:
		h.until = now.Add(max(seldom(failures), api.Pause))
	}
	return h
}

// seldom returns the pause after what an operator must fix.
func seldom(failures int) time.Duration { return doubled(5*time.Minute, failures, time.Hour) }

// quotaPause returns the pause after so many refusals by a quota of which nobody knows when it
// is over.
func quotaPause(refusals int) time.Duration { return doubled(time.Minute, refusals, time.Hour) }

// count counts the refusals by a quota in a row, before of them before h, and gives h the pause
// that they call for if it is one.
func (h *hold) count(before int) {
	h.quotas = before
	if h.reason == Limited {
		h.quotas++
		h.until = h.since.Add(quotaPause(h.quotas))
	}
}

// untilTomorrow makes h, which a quota has brought, one of the day's quota: it ends with WeChat's
// day.
func (h *hold) untilTomorrow(wall time.Time, spread float64) {
	h.class = fetchers.QuotaDay
	h.until = h.since.Add(max(untilMidnight(wall)+time.Duration(spread*float64(time.Minute)), time.Minute))
}

// toOperator makes h one that an operator ends, because no event does that h waits for: a
// customer's authorization where there is no customer, or a ticket where none is pushed.
func (h *hold) toOperator() {
	h.reason, h.class = Refused, fetchers.Misconfigured
	h.until = h.since.Add(seldom(h.failures))
}

// cutShort returns the hold that a run leaves on disk before the first call for a credential, in
// case it dies in it: without it a crash loop in an outage would call at every start. failures are
// those in a row, the call that is being made included; what landed in this run or an earlier one
// replaces it. The first time it holds nothing up; and after a few it holds longer than a run would
// pause, because it counts from the call's beginning.
func cutShort(failures, quotas int, valid bool, life time.Duration, spread float64, settings string, now clock.Instant) *hold {
	pause := 2 * jittered(30*time.Second, spread)
	switch {
	case valid:
		pause = max(shrink(pause, life), soonest)
	case failures == 1:
		pause = 0
	case failures <= quickTries+1:
		pause = doubled(time.Second, failures-1, pause)
	}
	return &hold{
		reason: Unreachable, message: "tokend ended while the last call was under way",
		failures: failures, quotas: quotas, settings: settings, since: now, until: now.Add(pause),
	}
}

// quickTries is how many short pauses come before the long ones: "at most 3 quick
// tries, then every 30..60 s".
const quickTries = 3

// backoff returns the pause after a passing fault. careful skips the short pauses:
// the lost answer to a rotating fetch may have ended the value that is being
// served, and a second call would end the next.
func backoff(failures int, life time.Duration, careful bool, spread float64) time.Duration {
	long := jittered(30*time.Second, spread)
	d := long
	if failures <= quickTries && !careful {
		d = doubled(time.Second, failures, long)
	}
	if life > 0 {
		d = max(shrink(d, life), soonest)
	}
	return d
}

// doubled returns first, doubled for each failure beyond the first, at most limit.
func doubled(first time.Duration, failures int, limit time.Duration) time.Duration {
	d := first
	for range failures - 1 {
		if d *= 2; d >= limit {
			return limit
		}
	}
	return min(d, limit)
}

// zone is where WeChat's days begin: Asia/Shanghai, which has had no summer time since
// 1991. Fixed, so that a host without a time zone database agrees.
var zone = time.FixedZone("CST", 8*60*60)

// untilMidnight returns how long WeChat's day still lasts at t.
func untilMidnight(t time.Time) time.Duration {
	t = t.In(zone)
	y, m, d := t.Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, zone).Sub(t)
}
