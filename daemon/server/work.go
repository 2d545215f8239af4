package server

import (
	"time"

	"tokend/daemon/throttle"
	"tokend/protocol"
)

// An ordinary request costs some microseconds, and the rate of requests bounds a user's share of
// the processor. A long request, a long value and a walk through all credentials cost as much as a
// hundred requests, and other users would wait for each. So these are charged by bytes and by time
// to another allowance of the user: a fourth of a processor, in parts of a fraction of a
// millisecond. Nothing is refused. A request that the allowance does not cover waits, and so do the
// requests behind it.

const (
	// longText is the size in bytes up to which a request or a value is not charged. Ordinary
	// values and page addresses are shorter.
	longText = 1 << 10

	// byteCost is the time for a byte of a long text: that of SIGN, which hashes the text. Other
	// verbs take less.
	byteCost = 4 * time.Nanosecond

	// lookCost is the minimum charge for a walk through credentials.
	lookCost = 20 * time.Microsecond

	// maxTimed is the maximum charge for one request. If more time has passed, the machine has
	// slept.
	maxTimed = 100 * time.Millisecond

	// workShare is the inverse of the share of a processor that a user gets.
	workShare = 4
)

// workRate is a user's allowance in microseconds. The burst is the cost of the longest request.
var workRate = rate{each: workShare * time.Microsecond, burst: int(maxRequest * byteCost / time.Microsecond)}

// afford charges d of work to the user, and reports whether the allowance covers it. If not, the
// request waits, and is then paid for.
func (s *session) afford(d time.Duration) bool {
	if s.paid {
		s.paid = false
		return true
	}
	if s.delay = s.work(d); s.delay == 0 {
		return true
	}
	s.paid = true
	s.user.stats.slowed.Add(1)
	return false
}

// work charges d of work to the user, and returns how long it takes until the allowance covers it.
func (s *session) work(d time.Duration) (wait time.Duration) {
	if s.user.operator {
		return 0
	}
	return s.user.work.take(s.server.clock(), workRate, int(d/time.Microsecond))
}

// timed calls f, for which paid has been charged, and charges the time that f takes beyond that.
func (s *session) timed(paid time.Duration, f func()) { s.timedWork(nil, paid, f) }

// timedWork is timed for an f that is part of work. The time that work waits is not charged.
func (s *session) timedWork(work *throttle.Work, paid time.Duration, f func()) {
	began, waited := time.Now(), work.Waited()
	f()
	if d := min(time.Since(began)-(work.Waited()-waited), maxTimed) - paid; d > 0 {
		s.work(d)
	}
}

// answerLong answers a long request.
func (s *session) answerLong(request []byte) (next action) {
	cost := time.Duration(len(request)) * byteCost
	if !s.afford(cost) {
		return slow
	}
	s.timed(cost, func() { next = s.codec.answer(s, request) })
	return next
}

// looks reports whether v looks at more than a cached value.
func looks(v protocol.Verb) bool {
	switch v {
	case protocol.VerbList, protocol.VerbWatch, protocol.VerbStatus, protocol.VerbHistory, protocol.VerbStats:
		return true
	}
	return false
}

// payFor charges a value that has been served. If the allowance does not cover it, draw makes the
// next request wait.
func (s *session) payFor(value int) {
	if wait := s.work(time.Duration(value) * byteCost); wait > 0 {
		s.payLater(s.server.clock() + wait)
	}
}

// payLater returns the unused allowance. draw takes more, which may be used at due or later.
func (s *session) payLater(due time.Duration) {
	s.paidAt = max(s.paidAt, due)
	s.user.pace.giveBack(s.server.limits.Load().pace, s.allowance)
	s.allowance = 0
}
