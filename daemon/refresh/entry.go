package refresh

import (
	"context"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// cached is a value and its life. It is immutable once it is published.
type cached struct {
	text   secret.Text
	issued clock.Instant // before the request that first brought it was sent
	seen   clock.Instant // the same of the last request that brought it
	end    clock.Instant
	life   time.Duration // the expires_in that it first came with

	// overdue is the end that was recorded when WeChat first repeated the value past it; zero
	// where it has not.
	overdue clock.Instant

	pushed      *pushed // how it came, if it was pushed; nil for what is fetched
	aged        bool    // it may be older than issued says
	byWallClock bool    // its times are as right as the wall clock was; see dateAgain
}

// pushed is what a pushed value has besides.
type pushed struct {
	stamp    time.Time   // its own time
	previous secret.Text // the value before it
}

// stamp returns a pushed value's own time; zero for what is fetched.
func (c *cached) stamp() time.Time {
	if c.pushed == nil {
		return time.Time{}
	}
	return c.pushed.stamp
}

// entry is one credential that has been asked for. Entries are made on the
// first ask and live as long as the catalog knows the name.
//
// There may be a million of them: what most do not need is behind a pointer, and how a credential
// is fetched is looked up when it is. An entry takes 96 bytes, its value 80 and the text.
type entry struct {
	// Set when the entry is made.
	name string

	// class is replaced when the configuration changes.
	class atomic.Pointer[configClass]

	// current is what readers see: nil, or the last value that became durable, valid or
	// not. Written with mu held and the name locked.
	current atomic.Pointer[cached]

	// readers is counted by the server.
	readers credential.Readers

	// asked is when a reader of this run last wanted it, in units of askedUnit, zero for never; see
	// touch.
	asked atomic.Uint32

	// place belongs to the schedule and is guarded by its lock: where in which of its heaps the
	// entry stands; zero for not at all.
	place int32

	mu       sync.Mutex // guards what follows; taken before the schedule's and the watchers' locks
	flight   *flight    // the one fetch under way, nil for none
	hold     *hold      // why no call is made before its end; nil for none
	history  *history   // what has happened to it in this run; nil for nothing
	refresh  clock.Instant
	written  bool             // there is a record of a hold on disk
	landed   bool             // a call has ended in this run
	started  bool             // loaded from the store and not refreshed since
	outdated bool             // its grant has changed: to be replaced whether it is asked for or not
	volatile bool             // the value is served but not on disk
	shown    credential.State // the state that watchers were last notified of

	// hash is set by the index, when the entry is added: the low bits of its name's.
	hash uint16
}

// policy returns how the kind of en is renewed.
func (en *entry) policy() *policy.Policy { return en.class.Load().policy }

// spread returns the name's spread. It is worked out when it is needed, a few times in an hour.
func (en *entry) spread() float64 { return spreadOf(en.name) }

// valid returns the current credential if it lives at now.
func (en *entry) valid(now clock.Instant) *cached {
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

// holdLocked returns why en is not fetched, or not fetched again, at now; nil for nothing. Of what
// is fetched for each request a hold tells no more once it has ended: nobody tries again until
// somebody asks. en.mu is held.
func (en *entry) holdLocked(now clock.Instant) *hold {
	if h := en.hold; h != nil && (now < h.until || !en.policy().PerAsk) {
		return h
	}
	return nil
}

// nextLocked returns when the schedule refreshes en next, now at the earliest; zero for not of
// itself. en.mu is held.
func (en *entry) nextLocked(now clock.Instant) clock.Instant {
	if en.refresh == 0 || en.refresh == never || en.policy().PerAsk {
		return 0
	}
	return max(en.refresh, now)
}

// dueLocked reports whether the schedule is to refresh en at now. en.mu is held.
func (en *entry) dueLocked(now clock.Instant) bool {
	return en.gone() == nil && en.flight == nil && en.refresh != 0 && en.refresh <= now && !en.policy().PerAsk
}

// attentionLocked returns when there is next something to do about en: a refresh, unless one is
// under way, or news for the watchers because its value has expired. en.mu is held.
func (en *entry) attentionLocked(now clock.Instant) clock.Instant {
	at := never
	switch {
	case en.policy().PerAsk:
		// Never fetched ahead: the end of its hold is announced, and nothing else.
		if h := en.holdLocked(now); h != nil {
			at = h.until
		}
	case en.refresh != 0 && en.flight == nil:
		at = en.refresh
	}
	if c := en.valid(now); c != nil {
		at = min(at, c.end)
	}
	return at
}

// stateLocked returns the state of the entry at now. en.mu is held.
func (en *entry) stateLocked(now clock.Instant) credential.State {
	h := en.holdLocked(now)
	switch {
	case en.valid(now) != nil && h == nil && !en.class.Load().unconfirmed(now):
		return credential.Fresh
	case en.valid(now) != nil:
		return credential.Stale
	case en.policy().Pushed > 0, h != nil && h.reason == credential.NoTicket:
		return credential.Waiting
	case h != nil && h.personal():
		return credential.Held
	case h == nil && en.policy().PerAsk:
		return credential.Idle
	case h == nil && en.current.Load() == nil && en.history.count() == 0:
		return credential.Idle
	}
	return credential.Expired
}

// listing returns the entry's line at now. en.mu is held.
func (en *entry) listingLocked(now clock.Instant) credential.Listing {
	l := credential.Listing{Name: en.name, State: en.stateLocked(now)}
	if c := en.valid(now); c != nil {
		l.TTL = c.end.Sub(now)
	}
	return l
}

// askedUnit is the unit of an entry's asked. 32 bits of it are 13 years since boot.
const askedUnit = 100 * time.Millisecond

// touch notes that a reader wants the credential: to a second, so that those who read it
// all the time do not write all the time.
func (en *entry) touch(now clock.Instant) {
	if last := en.lastAsked(); last == 0 || now.Sub(last) >= time.Second {
		en.asked.Store(max(uint32(now/clock.Instant(askedUnit)), 1))
	}
}

// hit returns c, the last value of en, to a reader if it is valid at now.
func (en *entry) hit(c *cached, now clock.Instant) (credential.Value, bool) {
	if c == nil || now >= c.end {
		return credential.Value{}, false
	}
	en.touch(now)
	return credential.Value{Text: c.text, TTL: c.end.Sub(now), Readers: &en.readers}, true
}

// lately reports whether a reader has wanted the credential not long ago, for its life.
func (en *entry) lately(now clock.Instant) bool {
	life := day
	if c := en.current.Load(); c != nil {
		life = c.life
	}
	asked := en.lastAsked()
	return asked != 0 && now.Sub(asked) < atMostQuarter(latelyAsked, life)
}

// latelyAsked is how long ago a reader has wanted what is being used now: the longest lead, so that
// what is used once while it is due counts.
const latelyAsked = 10 * time.Minute

// lastAsked returns when a reader of this run last wanted the credential, or at most a second and a
// unit earlier; zero where none has.
func (en *entry) lastAsked() clock.Instant {
	return clock.Instant(en.asked.Load()) * clock.Instant(askedUnit)
}

// flight is the one fetch of a credential that is under way. Everybody who
// wants the credential waits for the same flight; nobody's leaving ends it.
type flight struct {
	cause credential.Cause

	// rejected is the value that somebody who waits has rejected, "" for none. Guarded by the
	// entry's mu.
	rejected secret.Text

	// paid: a rejection was spent on it, of those that are allowed. Guarded by the entry's mu.
	paid bool

	// outdated: the grant has changed since it began, so what it brings is replaced. Guarded by the
	// entry's mu.
	outdated bool

	// leave gives back the place of a flight for one request; nil for any other.
	leave func()

	// done is closed when the flight has landed; cred and err are set before
	// and read-only after.
	done chan struct{}
	cred *cached
	err  error
}

// background reports whether the flight was begun for nobody in particular.
func (f *flight) background() bool {
	return f.cause == credential.CauseSchedule || f.cause == credential.CauseStart
}

// wait returns what the flight brought, or ctx's error if that ends first.
func (f *flight) wait(ctx context.Context) (*cached, error) {
	select {
	case <-f.done:
		return f.cred, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *flight) finish(c *cached, err error) {
	f.cred, f.err = c, err
	close(f.done)
}

// instantOf guards against the zero instant, which stands for "not at all".
func instantOf(i clock.Instant) clock.Instant { return max(i, 1) }

// spreadOf maps a name to a number in [0, 1), always the same for the same name,
// so that a restart reshuffles nothing and tests repeat.
func spreadOf(name string) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	// FNV leaves the high bits of similar names alike: mix before taking 53 bits.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}

// hold is why a credential is not asked for just now. It is immutable. Short ones are the back-off
// after a passing fault, long ones wait for an operator or a customer. Both are remembered over
// restarts, so that a crash loop makes no more calls than one run.
type hold struct {
	reason   credential.Reason
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

// local reports whether h concerns this host alone: it cannot reach WeChat, or its address is not
// listed. The hold that an interrupted call leaves is one of them.
func (h *hold) local() bool {
	return h.class == 0 && h.reason == credential.Unreachable || h.class == fetchers.AddressRefused
}

// err returns the hold as an error for a reader at now.
func (h *hold) err(now clock.Instant) *credential.Error {
	after := credential.Never
	switch {
	case h.until != never:
		after = max(h.until.Sub(now), 0)
	case h.reason == credential.NoTicket:
		after = nextPush // it ends the hold, and comes without anybody's doing
	}
	return &credential.Error{Reason: h.reason, RetryAfter: after, Message: h.message}
}

// atMostQuarter returns d, or a quarter of life where that is shorter.
func atMostQuarter(d, life time.Duration) time.Duration { return min(d, life/4) }
