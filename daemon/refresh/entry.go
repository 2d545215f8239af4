package refresh

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/record"
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

	stamp    time.Time   // pushed: its own time
	previous secret.Text // pushed: the value before it
}

// fingerprint tells two values apart without showing either. A token has far more
// entropy than 48 bits, so the digest cannot be searched for it.
func (c *credential) fingerprint() string { return fingerprint(c.text) }

func fingerprint(value secret.Text) string {
	sum := sha256.Sum256([]byte("tokend fingerprint\x00" + string(value)))
	return hex.EncodeToString(sum[:6])
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
	// not. Written with mu held, by the flight or by a load.
	current atomic.Pointer[credential]

	// asked is when a reader last wanted it: a clock.Instant, to a second.
	asked atomic.Int64

	// due and place belong to the schedule and are guarded by its lock.
	due   clock.Instant
	place int

	mu       sync.Mutex // guards what follows; taken before the schedule's and the watchers' locks
	flight   *flight    // the one fetch under way, nil for none
	hold     *hold      // why no call is made before its end; nil for none
	refresh  clock.Instant
	started  bool   // loaded from the store and not refreshed since
	outdated bool   // its grant has changed: to be replaced whether it is asked for or not
	gone     *Error // out of service, and why; nil while it is in service
	volatile bool   // the value is served but not on disk
	repeated clock.Instant
	rejects  allowance
	nudged   clock.Instant // when WeChat was last asked to push
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

// moment returns i as it is kept on disk.
func (e *Engine) moment(i clock.Instant) record.Moment {
	if i == never {
		return record.Moment{}
	}
	return record.Moment{Wall: e.clock.Wall(i), Since: time.Duration(i)}
}

// instant returns a kept moment on this boot's clock. Of another boot only the wall
// clock tells.
func (e *Engine) instant(m record.Moment, boot string) clock.Instant {
	switch {
	case m.Wall.IsZero():
		return never
	case boot != "" && boot == e.cfg.Boot:
		return clock.Instant(m.Since)
	}
	return e.clock.At(m.Wall)
}

// keep returns the durable form of c.
func (e *Engine) keep(name string, c *credential) record.Record {
	return record.Credential{
		Name:   name,
		Value:  c.text,
		Boot:   e.cfg.Boot,
		Issued: e.moment(c.issued),
		Seen:   e.moment(c.seen),
		End:    e.moment(c.end),
		Life:   c.life,
		Aged:   c.aged,

		Stamp:    c.stamp,
		Previous: c.previous,
	}.Encode()
}

// kept is the reverse of keep.
func (e *Engine) kept(r record.Credential) *credential {
	c := &credential{
		text:   r.Value,
		issued: e.instant(r.Issued, r.Boot),
		seen:   e.instant(r.Seen, r.Boot),
		end:    e.instant(r.End, r.Boot),
		life:   r.Life,
		aged:   r.Aged,

		stamp:    r.Stamp,
		previous: r.Previous,
	}
	// A wall clock that stands before the value was fetched has been set back,
	// by how much nobody knows: the value cannot be trusted to be alive.
	if now := e.clock.Now(); c.issued > now.Add(time.Minute) {
		c.end = now
	}
	return c
}

// keepHold returns the durable form of h.
func (e *Engine) keepHold(name string, h *hold) record.Record {
	return record.Hold{
		Name:     name,
		Settings: h.settings,
		Reason:   uint8(h.reason),
		Cause:    uint8(h.class),
		ErrCode:  h.errcode,
		Message:  h.message,
		RID:      h.rid,
		Address:  h.address,
		Failures: h.failures,
		Boot:     e.cfg.Boot,
		Since:    e.moment(h.since),
		Until:    e.moment(h.until),
	}.Encode()
}
