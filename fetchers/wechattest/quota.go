package wechattest

import "time"

const day = 24 * time.Hour

// shanghai is where WeChat's day ends; a fixed zone, since China has no summer
// time and a host may have no zone files.
func shanghai() *time.Location { return time.FixedZone("CST", 8*60*60) }

// quotaKey is what is counted, of whom, and for how long.
type quotaKey struct {
	what, whom string
	span       time.Duration
}

// quota is a count within a span of time that began with its first call or, of a
// day, at midnight.
type quota struct {
	since time.Time
	n     int
}

// begin starts the span anew where it is over.
func (q *quota) begin(span time.Duration, now time.Time) {
	if now.Sub(q.since) < span {
		return
	}
	q.since, q.n = now, 0
	if span == day {
		y, m, d := now.In(shanghai()).Date()
		q.since = time.Date(y, m, d, 0, 0, 0, 0, shanghai())
	}
}

func (w *WeChat) quota(k quotaKey, now time.Time) *quota {
	q := w.quotas[k]
	if q == nil {
		q = new(quota)
		w.quotas[k] = q
	}
	q.begin(k.span, now)
	return q
}

// spend counts one call and reports whether it is within limit. The first call
// beyond a minute's or an hour's limit blocks for that long again, as
// WeCom's penalties do.
func (w *WeChat) spend(k quotaKey, limit int, now time.Time) bool {
	if limit < 0 {
		return true
	}
	q := w.quota(k, now)
	q.n++
	if q.n == limit+1 && k.span != day {
		q.since = now
	}
	return q.n <= limit
}

func errorsOf(corp string) quotaKey { return quotaKey{"refusals", corp, time.Hour} }

// blocked reports whether so many calls of a corp were refused that none is
// served.
func (w *WeChat) blocked(corp string, now time.Time) bool {
	limit := w.set.Limits.ErrorsPerHour
	return limit >= 0 && w.quota(errorsOf(corp), now).n >= limit
}

// refused counts a refusal of a corp's call; the one that reaches the limit begins
// an hour's block.
func (w *WeChat) refused(corp string, now time.Time) {
	q := w.quota(errorsOf(corp), now)
	q.n++
	if q.n == w.set.Limits.ErrorsPerHour {
		q.since = now
	}
}
