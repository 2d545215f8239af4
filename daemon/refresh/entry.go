package refresh

import (
	"sync"
	"sync/atomic"
	"time"

	"tokend/daemon/clock"
	"tokend/fetchers/secret"
)

// credential is a value and its life. It is immutable once it is published.
type credential struct {
	text   secret.Text
	issued clock.Instant // before the request that first brought it was sent
	seen   clock.Instant // the same of the last request that brought it
	end    clock.Instant
	life   time.Duration // the expires_in that it first came with
	aged   bool          // it may be older than issued says

	// overdue is the end that was recorded when WeChat first repeated the value past it; zero
	// where it has not.
	overdue clock.Instant

	stamp    time.Time   // pushed: its own time
	previous secret.Text // pushed: the value before it
}

// entry is one credential that has been asked for. Entries are made on the
// first ask and live as long as the catalog knows the name.
type entry struct {
	// Set when the entry is made.
	name   string
	spread float64

	// spec is replaced when the configuration changes.
	spec atomic.Pointer[Spec]

	// current is what readers see: nil, or the last value that became durable, valid or
	// not. Written with mu held, in the turn of the name.
	current atomic.Pointer[credential]

	// asked is when a reader last wanted it: a clock.Instant, to a second.
	asked atomic.Int64

	// due and place belong to the schedule and are guarded by its lock.
	due   clock.Instant
	place int

	mu       sync.Mutex // guards what follows; taken before the schedule's and the watchers' locks
	flight   *flight    // the one fetch under way, nil for none
	hold     *hold      // why no call is made before its end; nil for none
	written  bool       // there is a record of a hold on disk
	landed   bool       // a call has come to an end in this run
	refresh  clock.Instant
	started  bool   // loaded from the store and not refreshed since
	outdated bool   // its grant has changed: to be replaced whether it is asked for or not
	gone     *Error // out of service, and why; nil while it is in service
	volatile bool   // the value is served but not on disk
	repeated clock.Instant
	rejects  allowance
	history  history
	shown    State // what watchers were told last
}

// valid returns the current credential if it lives at now.
func (en *entry) valid(now clock.Instant) *credential {
	if c := en.current.Load(); c != nil && now < c.end {
		return c
	}
	return nil
}

// paused returns the hold that forbids a call at now.
func (en *entry) paused(now clock.Instant) *hold {
	if h := en.hold; h != nil && !h.derived && now < h.until {
		return h
	}
	return nil
}

// stateLocked says where the entry stands at now. en.mu is held.
func (en *entry) stateLocked(now clock.Instant) State {
	switch {
	case en.valid(now) != nil && en.hold == nil:
		return Fresh
	case en.valid(now) != nil:
		return Stale
	case en.spec.Load().Kind.policy().pushed > 0, en.hold != nil && en.hold.reason == NoTicket:
		return Waiting
	case en.hold != nil && en.hold.personal():
		return Held
	case en.hold == nil && en.spec.Load().Kind.policy().perAsk:
		return Idle
	case en.hold == nil && en.current.Load() == nil && len(en.history) == 0:
		return Idle
	}
	return Expired
}

// listing returns the entry's line at now. en.mu is held.
func (en *entry) listingLocked(now clock.Instant) Listing {
	l := Listing{Name: en.name, State: en.stateLocked(now)}
	if c := en.valid(now); c != nil {
		l.TTL = c.end.Sub(now)
	}
	return l
}

// touch notes that a reader wants the credential.
func (en *entry) touch(now clock.Instant) {
	if last := clock.Instant(en.asked.Load()); now.Sub(last) >= time.Second {
		en.asked.Store(int64(now))
	}
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

// history is the last refreshes of an entry, oldest first.
type history []Attempt

// remembered is how many refreshes a credential remembers: a day of a two-hour token,
// in about 1.5 kB.
const remembered = 16

func (h *history) add(a Attempt) {
	if len(*h) == remembered {
		copy(*h, (*h)[1:])
		(*h)[remembered-1] = a
		return
	}
	*h = append(*h, a)
}
