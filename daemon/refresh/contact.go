package refresh

import (
	"time"

	"tokend/daemon/clock"
)

// overlap is how long WeChat accepts a value after it has been rotated.
const overlap = 5 * time.Minute

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

// shift returns how much later than the first host this one refreshes what is called name.
func (e *Engine) shift(name string, lead time.Duration) time.Duration {
	if e.cfg.Peers == nil {
		return 0
	}
	place, of := e.cfg.Peers.Rank(name)
	return time.Duration(place) * min(rankPause, lead/time.Duration(2*max(of, 1)))
}

// cutLocked makes the value of en end when WeChat would end it, had another host refreshed it when
// it was due. en.mu is held.
func (e *Engine) cutLocked(en *entry, now clock.Instant) {
	c := en.valid(now)
	if c == nil || !en.policy().Rotates {
		return
	}
	due := c.seen.Add(c.life - atMostQuarter(en.policy().Lead, c.life))
	if end := due.Add(overlap); due <= now && end < c.end {
		cut := *c
		cut.end = end
		e.applyLocked(en, valueCut{&cut}, now)
	}
}
