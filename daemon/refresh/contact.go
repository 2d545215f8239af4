package refresh

import (
	"context"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/record"
)

// due returns when c, which is the value of en and was last answered at now, is refreshed. Of
// several hosts, those of a higher rank wait a little for the others.
func (e *Engine) due(en *entry, c *cached, now clock.Instant, repeated bool) clock.Instant {
	p := en.policy()
	if p.Pushed > 0 {
		return max(c.seen.Add(p.Quiet), now.Add(soonest))
	}
	at := refreshAt(p, c, en.spread(), now, repeated)
	return at.Add(e.shift(en.name, atMostQuarter(p.Lead, c.life)))
}

const (
	// contactEvery is how often this host looks whether it knows every change of the others.
	contactEvery = 5 * time.Second

	// contactLost is how old the last contact is when it counts as lost. A host in contact has one
	// every ten seconds.
	contactLost = 30 * time.Second
)

// keepContact cuts values that other hosts may have replaced, notifies watchers of values that have
// become unconfirmed, or confirmed again, and sees to it that doubt ends, until ctx is done. With
// the peers out of reach, that takes a walk through all entries now and then.
func (e *Engine) keepContact(ctx context.Context) {
	unconfirmed, walked := false, clock.Instant(0)
	var doubts map[string]record.Claim
	for e.pause(ctx, contactEvery) {
		now := e.clock.Now()
		apart := now.Sub(e.cfg.Peers.Confirmed())
		if apart <= contactLost { // else no call can end a doubt
			doubts = e.remind(doubts)
		}
		lost, was := apart > overlap, unconfirmed
		unconfirmed = lost
		if lost == was && (apart <= contactLost || now.Sub(walked) < contactLost) {
			continue
		}
		walked = now
		e.review(ctx, apart > contactLost)
	}
}

// review cuts the values of rotating credentials, if this host is apart from the others, and
// notifies watchers of those whose state has changed.
func (e *Engine) review(ctx context.Context, apart bool) {
	work := e.cfg.Throttle.Begin(ctx)
	defer work.End()
	for en := range e.index.each {
		if !work.Step() {
			return
		}
		if !en.policy().Rotates {
			continue
		}
		en.mu.Lock()
		now := e.clock.Now()
		if apart {
			e.cutLocked(en, now, contactLost)
		}
		e.applyLocked(en, timePassed{}, now)
		en.mu.Unlock()
	}
}

// remind raises doubts again that are as old as before at least, and returns all there are. A value
// that a host has fetched without a claim puts the next call off, and does not end the doubt. Nor
// does it end because no call could be made when it was raised.
func (e *Engine) remind(before map[string]record.Claim) (all map[string]record.Claim) {
	all = e.claims.doubts()
	for name, c := range all {
		if before[name] != c {
			continue
		}
		en := e.index.get(c.Name)
		if en == nil {
			e.doubt(c)
			continue
		}
		en.mu.Lock()
		now := e.clock.Now()
		if at := e.repeats(c, now); en.flight == nil && en.hold == nil && (en.refresh == 0 || en.refresh > at) {
			e.applyLocked(en, doubtRaised{at}, now)
		}
		en.mu.Unlock()
	}
	return all
}

// sharing returns how many hosts refresh what this one does; zero without peers.
func (e *Engine) sharing() int {
	if e.cfg.Peers == nil {
		return 0
	}
	_, of := e.cfg.Peers.Rank("")
	return max(of, 1)
}

// shift returns how much later than the first host this one refreshes what is called name.
func (e *Engine) shift(name string, lead time.Duration) time.Duration {
	if e.cfg.Peers == nil {
		return 0
	}
	place, of := e.cfg.Peers.Rank(name)
	return time.Duration(place) * min(rankPause, lead/time.Duration(2*max(of, 1)))
}

// cutLocked makes the value of en, if it is due at now or no longer than ahead later, end when
// WeChat would end it, had another host refreshed it then. en.mu is held.
func (e *Engine) cutLocked(en *entry, now clock.Instant, ahead time.Duration) {
	c := en.valid(now)
	if c == nil || !en.policy().Rotates {
		return
	}
	due := c.seen.Add(c.life - atMostQuarter(en.policy().Lead, c.life))
	if end := due.Add(overlap); due <= now.Add(ahead) && end < c.end {
		e.applyLocked(en, valueCut{c.until(end)}, now)
	}
}

// shared returns what several hosts know of the credential of spec; nil without peers.
func (e *Engine) shared(spec *Spec) *credential.Shared {
	if e.cfg.Peers == nil {
		return nil
	}
	claim := e.claims.of(spec.Name)
	s := &credential.Shared{Doubt: claim.State == record.Doubtful || claim.Tries > 0}
	if claim.State == record.Calling {
		s.ClaimedBy = claim.Host
	}
	table := record.Credentials
	if spec.Policy.Grant {
		table = record.Grants
	}
	s.Unconfirmed = e.classes.of(spec).unconfirmed(e.clock.Now())
	r, err := e.cfg.Store.Get(table, spec.Name)
	if err != nil || r.Value == nil {
		return s
	}
	s.Revision, s.Stored = r.Revision, r.Revision != 0
	if spec.Policy.Grant {
		g, _ := record.DecodeGrant(r)
		s.Number = g.Number
	} else {
		c, _ := record.DecodeCredential(r)
		s.RefreshedBy = c.By
	}
	return s
}
