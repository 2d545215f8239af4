package server

import (
	"time"

	"tokend/protocol"
)

// An ordinary request costs some microseconds, and the rate of requests bounds what a user takes of
// the processor. A long line, a long value and a look at all credentials cost as much as a hundred
// requests, and other users would wait behind each. So users pay for these, by bytes and by time,
// from an allowance of its own: it is a fourth of a processor, in pieces of a fraction of a
// millisecond. Nothing is refused; a request that is not paid for waits, and so does what its peer
// has sent behind it.

const (
	// longText is the size in bytes up to which a line or a value costs no more than any request.
	// Ordinary values and page addresses are shorter.
	longText = 1 << 10

	// byteCost is what a byte of a long text costs: the most that any verb takes, which is SIGN
	// with its hash.
	byteCost = 4 * time.Nanosecond

	// lookCost is what a look at credentials costs at least.
	lookCost = 20 * time.Microsecond

	// maxTimed is the most time that is charged for one request. A span beyond it says that the
	// machine slept, and not what the request cost.
	maxTimed = 100 * time.Millisecond

	// workShare is how much time passes, at least, for each piece of work on a user's behalf.
	workShare = 4
)

// workRate is how much work there is for a user, in microseconds. The burst is what the longest
// line costs.
var workRate = rate{each: workShare * time.Microsecond, burst: int(maxRequest * byteCost / time.Microsecond)}

// afford reports whether the user can pay for d of work, and pays. If not, the request has to wait:
// it is paid for then.
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

// work makes the user pay for d of work, and returns how long it is until there is so much for it.
func (s *session) work(d time.Duration) (wait time.Duration) {
	if s.user.operator {
		return 0
	}
	return s.user.work.take(s.server.clock(), workRate, int(d/time.Microsecond))
}

// timed does f, which has been paid for with paid, and makes the user pay for the time beyond it.
func (s *session) timed(paid time.Duration, f func()) {
	began := time.Now()
	f()
	if d := min(time.Since(began), maxTimed) - paid; d > 0 {
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

// looks reports whether v looks at more than one value that is held.
func looks(v protocol.Verb) bool {
	switch v {
	case protocol.VerbList, protocol.VerbWatch, protocol.VerbStatus, protocol.VerbHistory, protocol.VerbStats:
		return true
	}
	return false
}

// payFor makes the user pay for a value that has been given out. If that is more than there was,
// the session's next request waits: draw sees to it.
func (s *session) payFor(value int) {
	wait := s.work(time.Duration(value) * byteCost)
	if wait == 0 {
		return
	}
	s.paidAt = s.server.clock() + wait
	s.user.pace.giveBack(s.server.limits.Load().pace, s.allowance)
	s.allowance = 0
}
