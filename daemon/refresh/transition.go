package refresh

import (
	"sync"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/fetchers/secret"
)

// This file has every assignment to the state of an entry. Entries in service change by events: see
// applyLocked. The methods at the end are for entries that are not in the index yet, and for flags
// about the disk, which concern neither watchers nor the schedule.

// event is something that happens to an entry; see the diagram in the package comment.
type event interface {
	// change assigns the fields of en, whose mu is held. It reports whether watchers are notified
	// even if the entry is in the same state as before.
	change(en *entry, now clock.Instant) (news bool)
}

// applyLocked lets ev happen to en, notifies the watchers, and plans what the schedule does next
// about en. If en is out of service, nothing changes: applyLocked returns the reason. en.mu is
// held.
func (e *Engine) applyLocked(en *entry, ev event, now clock.Instant) (gone *credential.Error) {
	if why := en.gone(); why != nil {
		return why
	}
	news := ev.change(en, now)
	switch ev.(type) {
	case valuePublished, flightFailed, requestAnswered: // each with an attempt
		e.histories.note(en)
	}
	e.tellLocked(en, now, news)
	e.planLocked(en, now)
	return nil
}

// flightStarted is the start of a flight.
type flightStarted struct{ flight *flight }

func (ev flightStarted) change(en *entry, _ clock.Instant) bool {
	en.flight = ev.flight
	return false
}

// valuePublished is the arrival of a value: by the flight of the entry, if it has one, by a push,
// or with a customer's grant.
type valuePublished struct {
	value   *cached
	refresh clock.Instant
	refused bool // by the disk
	same    bool // the value was current already
	attempt credential.Attempt
}

func (ev valuePublished) change(en *entry, now clock.Instant) bool {
	rejected := en.flight != nil && en.flight.rejected != ""
	again := en.flight != nil && en.flight.outdated
	en.landed = en.landed || en.flight != nil
	en.flight, en.hold, en.refresh = nil, nil, ev.refresh
	if en.started, en.outdated = false, again; again {
		en.refresh = now
	}
	en.volatile = ev.refused
	en.written = en.written && ev.refused // else deleted with the same write
	en.addAttempt(ev.attempt)
	en.history.repeated, en.history.dead = 0, ""
	if ev.same && rejected {
		en.history.repeated = instantOf(now)
	}
	en.current.Store(ev.value)
	return !ev.same
}

// requestAnswered is the end of a flight for one request.
type requestAnswered struct {
	sent    clock.Instant
	attempt credential.Attempt
}

func (ev requestAnswered) change(en *entry, _ clock.Instant) bool {
	if en.hold != nil && en.hold.since <= ev.sent { // else from a call beside, which was refused later
		en.hold = nil
	}
	en.addAttempt(ev.attempt)
	return false
}

// flightFailed is the end of a flight that has brought nothing.
type flightFailed struct {
	// hold is what it calls for; nil if WeChat has refused what is not configured or in force any
	// more.
	hold    *hold
	began   clock.Instant
	unpaid  bool // the rejection that it was made for does not count
	attempt credential.Attempt
}

func (ev flightFailed) change(en *entry, now clock.Instant) bool {
	en.flight, en.landed = nil, true
	en.started = false
	en.outdated = en.outdated && en.valid(now) != nil // else nothing is served that may be dead
	en.addAttempt(ev.attempt)
	en.history.repeated = 0
	if ev.unpaid {
		en.history.rejections.giveBack()
	}
	switch h := en.hold; {
	case ev.hold == nil:
		// Readers ask at once; the schedule a moment later, so that whatever keeps changing makes
		// no hot loop.
		en.hold, en.refresh = nil, now.Add(soonest)
	case h != nil && h.since > ev.began && h.until > ev.hold.until: // from a call beside, and longer
	default:
		en.hold, en.refresh = ev.hold, ev.hold.until
	}
	return false
}

// valueFollowed is the arrival of a value that another host has fetched or got. The flight of the
// entry, if it has one, looks at the value itself.
type valueFollowed struct {
	value   *cached
	refresh clock.Instant
}

func (ev valueFollowed) change(en *entry, _ clock.Instant) bool {
	before := en.current.Load()
	same := before != nil && before.text == ev.value.text
	// Else another host has dated it again, or has called too early.
	if en.outdated = en.outdated && (same || en.history != nil && ev.value.issued <= en.history.outdated); !en.outdated {
		en.refresh = ev.refresh
	}
	en.hold = nil
	en.started, en.volatile = false, false
	if en.history != nil {
		en.history.dead = ""
	}
	en.current.Store(ev.value)
	return !same
}

// valueCut is the same value with an earlier end.
type valueCut struct{ value *cached }

func (ev valueCut) change(en *entry, _ clock.Instant) bool {
	en.current.Store(ev.value)
	return false
}

// holdFollowed is a hold because of what another host was refused.
type holdFollowed struct{ hold *hold }

func (ev holdFollowed) change(en *entry, _ clock.Instant) bool {
	en.hold, en.refresh = ev.hold, ev.hold.until
	return false
}

// doubtRaised is a call of some host that had no answer: the value is replaced, whether somebody
// asks for it or not. The hold that such a call leaves delays nothing.
type doubtRaised struct{ refresh clock.Instant }

func (ev doubtRaised) change(en *entry, _ clock.Instant) bool {
	if h := en.hold; h != nil && h.message == interrupted {
		en.hold = nil
	}
	en.outdated, en.refresh = true, ev.refresh
	return false
}

// flightAbandoned is the end of a flight that says nothing about WeChat or the credential. refresh
// is zero if the next refresh is due as before. unpaid: the rejection that the flight was made for
// does not count.
type flightAbandoned struct {
	refresh clock.Instant
	unpaid  bool
}

func (ev flightAbandoned) change(en *entry, _ clock.Instant) bool {
	en.flight = nil
	if ev.unpaid {
		en.newHistory().rejections.giveBack()
	}
	if ev.refresh != 0 {
		en.refresh = ev.refresh
	}
	return false
}

// ticketMissing is a hold without a flight: no ticket is pushed.
type ticketMissing struct{ hold *hold }

func (ev ticketMissing) change(en *entry, _ clock.Instant) bool {
	en.hold, en.refresh = ev.hold, ev.hold.until
	return false
}

// holdDropped is the end of a hold whose cause is gone: another grant or configuration is in force.
type holdDropped struct{}

func (holdDropped) change(en *entry, now clock.Instant) bool {
	en.hold, en.refresh = nil, now
	return false
}

// holdEnded is the end of the wait in a hold: its cause may be gone. The failures still count.
type holdEnded struct{ refresh clock.Instant }

func (ev holdEnded) change(en *entry, now clock.Instant) bool {
	h := *en.hold
	h.until = now
	en.hold, en.refresh = &h, ev.refresh
	return false
}

// refreshMoved is another time of the next refresh.
type refreshMoved struct{ refresh clock.Instant }

func (ev refreshMoved) change(en *entry, _ clock.Instant) bool {
	en.refresh = ev.refresh
	return false
}

// grantReplaced is another grant for a customer's token that is in force: the token is replaced,
// whether somebody asks for it or not. What was called for before since does not replace it; zero
// if that is unknown.
type grantReplaced struct{ since clock.Instant }

func (ev grantReplaced) change(en *entry, now clock.Instant) bool {
	en.outdated, en.refresh = true, now
	if ev.since != 0 {
		en.newHistory().outdated = ev.since
	}
	if en.flight != nil {
		en.flight.outdated = true
	}
	return false
}

// valueRedated is the same value with other times, because the wall clock was corrected.
type valueRedated struct {
	value *cached
	shift time.Duration // of the next refresh, behind other hosts
}

func (ev valueRedated) change(en *entry, _ clock.Instant) bool {
	c := ev.value
	en.current.Store(c)
	if en.hold == nil && en.policy().Pushed == 0 {
		en.refresh = refreshAt(en.policy(), c, en.spread(), c.seen, c.seen > c.issued).Add(ev.shift)
	}
	return false
}

// timePassed is time that passes: a value may have expired, a hold ended, a refresh become due.
type timePassed struct{}

func (timePassed) change(*entry, clock.Instant) bool { return false }

// tellLocked notifies the watchers if the state has changed or, with news, the value. en.mu is
// held, so the events of one credential come in order.
func (e *Engine) tellLocked(en *entry, now clock.Instant, news bool) {
	l := en.listingLocked(now)
	if l.State == en.shown && !news {
		return
	}
	en.shown = l.State
	e.watchers.tell(l)
}

// planLocked makes en due when there is next something to do about it. en.mu is held.
func (e *Engine) planLocked(en *entry, now clock.Instant) {
	e.schedule.set(en, en.attentionLocked(now))
}

// dropLocked takes en out of service, because of why. en.mu is held.
func (e *Engine) dropLocked(en *entry, why *credential.Error) {
	if en.gone() == nil {
		e.dropped.keep(en) // before another entry can be made of the name
	}
	en.newHistory().gone = why
	en.current.Store(nil)
	en.hold, en.refresh = nil, 0
	e.schedule.set(en, never)
	e.sleepers.drop(en)
	e.index.remove(en)
	e.histories.note(en)
	state := credential.Expired
	if en.policy().Configured && why == errChanged {
		state = credential.Idle // it is still listed
	}
	e.watchers.tell(credential.Listing{Name: en.name, State: state})
}

// restore gives en, which nobody else has yet, the value c that was kept. Its refresh is due shift
// later than on the first host.
func (en *entry) restore(c *cached, now clock.Instant, shift time.Duration) {
	en.current.Store(c)
	en.started = true
	if p := en.policy(); p.Pushed > 0 {
		// A push that was missed while tokend was down is not overdue yet.
		en.refresh = now.Add(p.Quiet)
		return
	}
	// Entries that came due while tokend was down are due now. The workers bound how many calls are
	// made at once, and the pace bounds those of customers in a second.
	en.refresh = refreshAt(en.policy(), c, en.spread(), c.seen, c.seen > c.issued).Add(shift)
}

// resume puts en, which is being made or loaded, in the hold that is on disk. en.mu is held, or
// nobody else has en.
func (en *entry) resume(h *hold) {
	en.hold, en.written = h, true
	en.refresh = h.until // whatever its value says
}

// noteRecord notes that a record of a hold is, or may be, on disk.
func (en *entry) noteRecord() { en.written = true }

// noteNoRecord notes that the record of the hold is deleted. A flight may write another this
// moment, and deletes it as it lands.
func (en *entry) noteNoRecord() {
	if en.flight == nil {
		en.written = false
	}
}

// noteSaved notes that the value is on disk.
func (en *entry) noteSaved() { en.volatile = false }

// noteDead notes that WeChat has refused value to a child, until a fetch has landed.
func (en *entry) noteDead(value secret.Text) { en.newHistory().dead = value }

// sleepsLocked reports whether en waits for its parent, not for time or a person. en.mu
// is held.
func (en *entry) sleepsLocked() bool {
	h := en.hold
	return h != nil && (h.derived || h.reason == credential.NoTicket) && en.policy().Pushed == 0
}

// sleepers is the credentials that wait for their parent to recover, by the parent's name: they
// are found without looking through all there are. Another event may have
// woken them already. Its zero value is ready.
type sleepers struct {
	mu    sync.Mutex
	of    map[string]map[*entry]struct{}
	under map[*entry]string // by whose name it is in of
}

func (s *sleepers) add(parent string, en *entry) {
	if parent == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of, s.under = map[string]map[*entry]struct{}{}, map[*entry]string{}
	}
	s.dropLocked(en)
	if s.of[parent] == nil {
		s.of[parent] = map[*entry]struct{}{}
	}
	s.of[parent][en], s.under[en] = struct{}{}, parent
}

// drop forgets en.
func (s *sleepers) drop(en *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(en)
}

func (s *sleepers) dropLocked(en *entry) {
	parent, ok := s.under[en]
	if !ok {
		return
	}
	delete(s.under, en)
	if delete(s.of[parent], en); len(s.of[parent]) == 0 {
		delete(s.of, parent)
	}
}

// take returns who waits for parent, and forgets them.
func (s *sleepers) take(parent string) map[*entry]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.of[parent]
	delete(s.of, parent)
	for en := range all {
		delete(s.under, en)
	}
	return all
}
