package refresh

import (
	"sync"
	"sync/atomic"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/fetchers/secret"
)

// history is what has happened to a credential in this run that is not told by where it stands. Its
// nil value stands for nothing. Guarded by its entry's mu.
type history struct {
	repeated   clock.Instant // when WeChat repeated a rejected value; zero for never
	dead       secret.Text   // the value that WeChat has refused to a child, until one is published
	outdated   clock.Instant // a value that was called for before is not WeChat's newest; zero for none
	rejections allowance
	gone       *credential.Error // the entry is out of service, and why; nil while it is in service
	attempts   []pastAttempt     // oldest first
	rids       []string          // WeChat's ids of failed requests, oldest first: the attempts with hasRID set
}

// pastAttempt is an Attempt as it is remembered: with nothing in it that points anywhere.
type pastAttempt struct {
	at      int64  // the wall clock's nanoseconds
	took    uint32 // milliseconds
	errcode int32
	cause   credential.Cause
	outcome uint8 // an index of outcomes
	hasRID  bool
}

// outcomes are the words of Attempt's Outcome, the reasons' behind the first two.
var outcomes = func() []string {
	words := []string{"ok", "same"}
	for r := range credential.ReasonCount {
		words = append(words, credential.Reason(r).String())
	}
	return words
}()

// How many refreshes a credential remembers: a day of a two-hour token, in 400 bytes; and of a
// customer's half of that, because there are so many.
const (
	remembered         = 16
	rememberedCustomer = 8
)

// newHistory returns the past of en to be added to. en.mu is held.
func (en *entry) newHistory() *history {
	if en.history == nil {
		en.history = new(history)
	}
	return en.history
}

// gone returns why en is out of service; nil while it is in service. Few ever are, so it is kept
// where few entries have anything. en.mu is held.
func (en *entry) gone() *credential.Error {
	if en.history == nil {
		return nil
	}
	return en.history.gone
}

// addAttempt adds a to the past of en. en.mu is held.
func (en *entry) addAttempt(a credential.Attempt) {
	limit := remembered
	if en.policy().Lapses {
		limit = rememberedCustomer
	}
	p := en.newHistory()
	d := pastAttempt{
		at: a.At.UnixNano(), took: uint32(min(a.Took.Milliseconds(), 1<<32-1)),
		errcode: int32(a.ErrCode), cause: a.Cause, outcome: outcomeOf(a.Outcome), hasRID: a.RID != "",
	}
	if d.hasRID {
		p.rids = append(p.rids, a.RID)
	}
	if len(p.attempts) < limit {
		p.attempts = append(p.attempts, d)
		return
	}
	if p.attempts[0].hasRID {
		p.rids = append(p.rids[:0], p.rids[1:]...)
	}
	copy(p.attempts, p.attempts[1:])
	p.attempts[len(p.attempts)-1] = d
}

func outcomeOf(word string) uint8 {
	for i, w := range outcomes {
		if w == word {
			return uint8(i)
		}
	}
	return 2 // Internal
}

// count returns how many refreshes are remembered.
func (p *history) count() int {
	if p == nil {
		return 0
	}
	return len(p.attempts)
}

// newestFirst returns what is remembered, newest first.
func (p *history) newestFirst() []credential.Attempt {
	if p == nil {
		return nil
	}
	all := make([]credential.Attempt, len(p.attempts))
	rids := p.rids
	for i, d := range p.attempts {
		a := credential.Attempt{
			At: time.Unix(0, d.at).UTC(), Cause: d.cause, Outcome: outcomes[d.outcome],
			ErrCode: int(d.errcode), Took: time.Duration(d.took) * time.Millisecond,
		}
		if d.hasRID {
			a.RID, rids = rids[0], rids[1:]
		}
		all[len(all)-1-i] = a
	}
	return all
}

// histories is the entries whose last attempts are not on disk, or that are out of service. The
// landing of a flight only notes its entry here. Its zero value is ready.
type histories struct {
	mu  sync.Mutex
	new map[*entry]struct{}
}

// note notes that en has another attempt, or is out of service.
func (h *histories) note(en *entry) {
	h.mu.Lock()
	if h.new == nil {
		h.new = map[*entry]struct{}{}
	}
	h.new[en] = struct{}{}
	h.mu.Unlock()
}

// take returns the entries and forgets them.
func (h *histories) take() map[*entry]struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	taken := h.new
	h.new = nil
	return taken
}

// allowance lets a few rejections through at once and then one a minute, so that a
// client which rejects whatever it gets cannot burn a day's quota.
type allowance struct {
	spent int
	last  clock.Instant
}

const (
	rejectBurst = 5
	rejectEvery = time.Minute
)

// take spends one, or returns how long to wait for it.
func (a *allowance) take(now clock.Instant) time.Duration {
	if back := int(now.Sub(a.last) / rejectEvery); back > 0 {
		a.spent = max(a.spent-back, 0)
		a.last = now
	}
	if a.spent >= rejectBurst {
		return rejectEvery - now.Sub(a.last)
	}
	a.spent++
	return 0
}

// giveBack takes back a rejection that caused no call.
func (a *allowance) giveBack() { a.spent = max(a.spent-1, 0) }

// repeatedFor is how long a value that WeChat repeated to a rejection is not asked for
// again because of one.
const repeatedFor = time.Minute

// repeatedLocked reports whether WeChat has just repeated a rejected value. en.mu is held.
func (en *entry) repeatedLocked(now Instant) bool {
	p := en.history
	return p != nil && p.repeated != 0 && now.Sub(p.repeated) < repeatedFor
}

// counts is what the engine has done since it was made.
type counts struct {
	fetches, rejects, renewed, repeated, failed atomic.Int64

	mu   sync.Mutex
	took map[*policy.Policy]*credential.Durations // by kind
}

// refreshed counts a refresh by its kind and outcome.
func (c *counts) refreshed(p *policy.Policy, a *credential.Attempt) {
	c.mu.Lock()
	h := c.took[p]
	if h == nil {
		if c.took == nil {
			c.took = map[*policy.Policy]*credential.Durations{}
		}
		h = &credential.Durations{Kind: p.Word}
		c.took[p] = h
	}
	h.Add(a.Took)
	c.mu.Unlock()
	switch a.Outcome {
	case "ok":
		c.renewed.Add(1)
	case "same":
		c.repeated.Add(1)
	default:
		c.failed.Add(1)
	}
}
