package wechattest

import "time"

const day = 24 * time.Hour

// shanghai is the time zone of WeChat's day. It is a fixed zone, because China has no summer time
// and a host may have no zone files.
func shanghai() *time.Location { return time.FixedZone("CST", 8*60*60) }

// quotaKey identifies a quota: the operation, the account and the period.
type quotaKey struct {
	what, whom string
	span       time.Duration
}

// quota is a count within a period that began with its first call, or at midnight if the period is
// a day.
type quota struct {
	since time.Time
	n     int
}

// begin starts a new period if the old one has ended.
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

// spend counts one call and reports whether it is within limit. The first call beyond a limit per
// minute or hour blocks for that period, as WeCom's penalties do.
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

// blocked reports whether so many calls of a corp failed that all are rejected.
func (w *WeChat) blocked(corp string, now time.Time) bool {
	limit := w.set.Limits.ErrorsPerHour
	return limit >= 0 && w.quota(errorsOf(corp), now).n >= limit
}

// refused counts an error of a corp's call. The error that reaches the limit starts a block of
// an hour.
func (w *WeChat) refused(corp string, now time.Time) {
	q := w.quota(errorsOf(corp), now)
	q.n++
	if q.n == w.set.Limits.ErrorsPerHour {
		q.since = now
	}
}
