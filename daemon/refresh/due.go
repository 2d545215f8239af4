package refresh

import (
	"errors"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// This file decides when: it holds every margin and interval of the engine as pure functions of the
// facts. Each margin shrinks with a short life, to a quarter of it at most.

const (
	// soonest is the shortest pause between two background calls for one
	// credential, whatever its life: a one-second token makes no hot loop.
	soonest = time.Second

	// pollEvery is the interval of calls for a value near its end, until it changes. With the
	// spread of a name it is below 45 s, so a change is noticed within a minute.
	pollEvery = 30 * time.Second

	// pollAged is the interval for a value of unknown age, far from its apparent end. A ticket that
	// is seen for the first time may be two hours old.
	pollAged = 10 * time.Minute

	// pastEnd is how long a value is served that WeChat repeats after its recorded end. Such a
	// value is valid, but not for long.
	pastEnd = time.Minute

	// pollPast is how long before the end of that minute the next call is made. Readers need not
	// wait, and an hour of such calls stays within the quotas of tickets.
	pollPast = 5 * time.Second

	// knownGap bounds the time between the last answer with the old value and the first with the
	// new one. After a longer gap the age of the new value counts as unknown.
	knownGap = 2 * time.Minute
)

// jittered returns d plus up to half of it again, by the spread of a name.
func jittered(d time.Duration, spread float64) time.Duration {
	return d + time.Duration(float64(d)*spread/2)
}

// answer is what a call brought, and the moment before it was made.
type answer struct {
	text secret.Text
	life time.Duration
	sent clock.Instant

	grant secret.Text // that the call was made with
	next  secret.Text // that came with the answer, "" for none
}

// settle returns what stands after WeChat has given an answer,
// where before is what stood until then, nil for nothing.
// same reports that the value was a repetition.
func settle(p *policy.Policy, before *cached, got answer) (after *cached, same bool) {
	if before != nil && before.text == got.text {
		c := *before
		c.seen = got.sent
		if c.overdue == 0 && got.sent < before.end {
			c.end = min(before.end, got.sent.Add(got.life))
		} else {
			// Trust grows with how long WeChat has repeated the value past its end:
			// the first repetition may have met its last moment.
			if c.overdue == 0 {
				c.overdue = before.end
			}
			past := max(got.sent.Sub(c.overdue), soonest)
			c.end = got.sent.Add(atMostQuarter(min(pastEnd, past), got.life))
		}
		return &c, true
	}
	c := &cached{
		text:   got.text,
		issued: got.sent,
		seen:   got.sent,
		end:    got.sent.Add(got.life),
		life:   got.life,
	}
	if p.FirstSeen {
		c.aged = before == nil || got.sent.Sub(before.seen) > knownGap
	}
	return c, false
}

// refreshAt returns when c is refreshed next. The last answer came at now. repeated reports that it
// had the same value as the one before.
func refreshAt(p *policy.Policy, c *cached, spread float64, now clock.Instant, repeated bool) clock.Instant {
	lead := atMostQuarter(p.Lead, c.life)
	at := c.end.Add(-lead + time.Duration(spread*float64(min(time.Minute, lead/5))))
	if c.overdue != 0 {
		at = c.end.Add(-min(pollPast, c.end.Sub(c.seen)/4))
		return max(at, now.Add(soonest))
	}
	if c.aged && atMostQuarter(pollAged, c.life) == pollAged {
		at = min(at, now.Add(jittered(pollAged, spread)))
	}
	if repeated {
		at = max(at, now.Add(atMostQuarter(jittered(pollEvery, spread), c.life)))
	}
	at = min(at, c.end)
	return max(at, now.Add(soonest))
}

// restLeast is how little of a life is left when it is not looked at any more before its end. After
// a start, in which nobody counts as having wanted anything, that is how long clients have had to
// ask for a value.
const restLeast = 5 * time.Second

// restUntil returns when to check again whether a client has requested c, which is due and unused.
// There are a few checks, each after half of the remaining life. So a client that returns late, or
// first requests a value of an earlier run, need not wait after c has expired.
func restUntil(c *cached, now clock.Instant) clock.Instant {
	left := c.end.Sub(now)
	if left <= atMostQuarter(restLeast, c.life) {
		return c.end
	}
	return now.Add(left / 2)
}

// unasked reports whether no client has requested the credential since its value came, apart from
// the request that fetched the value. Without a value, it reports on the time that a value would
// have lived. Requests of an earlier run are unknown and do not count: a restart prolongs no use.
func (en *entry) unasked(now clock.Instant) bool {
	asked := en.lastAsked()
	c := en.current.Load()
	if c == nil {
		return now.Sub(asked) >= 2*time.Hour
	}
	return asked == 0 || asked.Sub(c.issued) < atMostQuarter(time.Minute, c.life)
}

// failed returns the hold that err alone calls for at now, when failures refreshes
// have failed in a row, this one included. life is the life of the value that was
// last known, zero for none; it shortens the back-off, not the holds.
func failed(err error, failures int, life time.Duration, careful bool, spread float64, now clock.Instant) *hold {
	h := &hold{failures: failures, since: now}
	api, ok := errors.AsType[*fetchers.APIError](err)
	if !ok {
		h.reason, h.message = credential.Unreachable, err.Error()
		if _, own := errors.AsType[*faultError](err); own {
			h.reason, h.message = credential.Internal, ownFault
		}
		if t, ok := errors.AsType[*fetchers.TransportError](err); !ok || !t.Sent {
			careful = false
		}
		h.until = now.Add(backoff(failures, life, careful, spread))
		return h
	}
	h.reason, h.class = credential.Refused, api.Reaction
	h.errcode, h.message, h.rid, h.address = api.Code, api.Error(), api.RID, api.IP
	switch api.Reaction {
	case fetchers.Retry:
		h.until = now.Add(backoff(max(failures, quickTries+1), life, careful, spread))
	case fetchers.QuotaDay, fetchers.QuotaMinute:
		// The two have an errcode in common.
		h.reason, h.class = credential.Limited, fetchers.QuotaMinute
		h.count(failures - 1)
	case fetchers.AddressRefused:
		h.until = now.Add(max(5*time.Minute, api.Pause))
	case fetchers.Reauthorize, fetchers.GrantRefused:
		h.reason = credential.Reauth
		h.until = never
	case fetchers.CodeRefused:
		h.until = never
	case fetchers.NewTicket:
		h.reason = credential.NoTicket
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

// count counts consecutive refusals by a quota, of which before came before h. If h is one, it gets
// the pause for that number.
func (h *hold) count(before int) {
	h.quotas = before
	if h.reason == credential.Limited {
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

// toOperator lets an operator end h, because no event will: there is no customer to authorize, or
// no ticket is pushed.
func (h *hold) toOperator() {
	h.reason, h.class = credential.Refused, fetchers.Misconfigured
	h.until = h.since.Add(seldom(h.failures))
}

// cutShort returns the hold that a run leaves on disk before the first call for a credential, in
// case it is killed during the call. Without the hold, a crash loop in an outage would call at
// every start. failures counts consecutive ones, including the call that is being made. The end of
// the call replaces the hold. The first such hold delays nothing. After a few, a hold lasts longer
// than a run would pause, because it counts from the beginning of the call.
func cutShort(failures, quotas int, valid bool, life time.Duration, spread float64, settings string, now clock.Instant) *hold {
	pause := 2 * jittered(30*time.Second, spread)
	switch {
	case valid:
		pause = max(atMostQuarter(pause, life), soonest)
	case failures == 1:
		pause = 0
	case failures <= quickTries+1:
		pause = doubled(time.Second, failures-1, pause)
	}
	return &hold{
		reason: credential.Unreachable, message: interrupted,
		failures: failures, quotas: quotas, settings: settings, since: now, until: now.Add(pause),
	}
}

// doubtPause is how long the next call waits after so many in a row that ended in doubt.
func doubtPause(tries int) time.Duration {
	if tries < 2 {
		return 0
	}
	return doubled(30*time.Second, tries-1, 5*time.Minute)
}

// rankPause is how much later than the host before it in rank a host calls, at most.
const rankPause = 2 * time.Second

// interrupted is the message of the hold that cutShort returns.
const interrupted = "tokend ended while the last call was under way"

// quickTries is how many short pauses come before the long ones: "at most 3 quick
// tries, then every 30..60 s".
const quickTries = 3

// backoff returns the pause after a passing fault. careful skips the short pauses: a lost answer to
// a rotating fetch may have ended the value that is served, and a second call would end the next.
func backoff(failures int, life time.Duration, careful bool, spread float64) time.Duration {
	long := jittered(30*time.Second, spread)
	d := long
	if failures <= quickTries && !careful {
		d = doubled(time.Second, failures, long)
	}
	if life > 0 {
		d = max(atMostQuarter(d, life), soonest)
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
