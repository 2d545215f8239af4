package refresh

import (
	"context"
	"slices"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
)

// givenGrant is a grant to be put in force.
type givenGrant struct {
	name string
	next record.Generation

	// unless has the grants that stay as they are, because they have changed since next was read;
	// nil for none.
	unless *grantWatch
}

// giveBatch is how many grants are written at once: with the holds that they end they stay far
// below what a commit may hold.
const giveBatch = 64

// giveAll puts grants in force, giveBatch of them in one write, and returns how many of them were
// new.
func (e *Engine) giveAll(ctx context.Context, gifts []givenGrant) (changed int, err error) {
	work := e.cfg.Throttle.Begin(ctx)
	defer work.End()
	for batch := range slices.Chunk(gifts, giveBatch) {
		work.Pause()
		amends := make([]*amendment, len(batch))
		for i, g := range batch {
			amends[i] = e.amendmentOf(g)
		}
		err := e.amend(ctx, amends...)
		for _, a := range amends {
			if a.err == nil && a.applies {
				changed++
			}
		}
		if err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// amendmentOf returns the amendment that makes g.
func (e *Engine) amendmentOf(g givenGrant) *amendment {
	a := &amendment{grant: g.name, frees: true}
	// A client that puts the same grant again wants it tried again.
	again := g.next.Source == fromPut
	a.apply = func(grant *record.Grant) bool {
		if g.unless.has(g.name) {
			return false
		}
		if grant.Live() && grant.Value == g.next.Value {
			a.again = again
			return false
		}
		readmit(grant, g.next, e.clock.Time())
		return true
	}
	a.then = func() {
		e.log.Info("grant stored", "name", g.name, "source", g.next.Source)
		e.watchers.tell(credential.Listing{Name: g.name, State: credential.Fresh})
	}
	return a
}

// Revoke takes a grant out of force: the customer has taken it back at the time at. What
// lives by it is gone at once, and all of it durably when Revoke returns nil. A
// revocation that is older than the grant is history and changes nothing.
func (e *Engine) Revoke(ctx context.Context, grant string, at time.Time) error {
	if err := e.ready(ctx); err != nil {
		return err
	}
	now := e.clock.Time()
	at = e.believed(at, now)
	a := &amendment{grant: grant, ends: true}
	a.apply = func(g *record.Grant) bool {
		// Recorded also where there is no grant yet: the message may have overtaken the
		// exchange of the authorization that it ends.
		// WeChat tells whole seconds: within one, what comes last counts.
		if outranks(authorized(g).Truncate(time.Second), at, now) || g.Revoked.Equal(at) || outranks(g.Revoked, at, now) {
			return false
		}
		g.Revoked = at
		return true
	}
	a.then = func() {
		e.endDependants(grant, a.dependants)
	}
	return e.outlast(ctx, func() error { return e.amend(ctx, a) })
}

// endDependants takes what lives by grant, which the customer has taken back, out of service.
func (e *Engine) endDependants(grant string, dependants []string) {
	why := &credential.Error{Reason: credential.Reauth, RetryAfter: credential.Never, Message: "the customer has just taken the authorization back: an authorization is needed"}
	e.eachEntry(dependants, func(en *entry) { e.dropLocked(en, why) })
	e.watchers.tell(credential.Listing{Name: grant, State: credential.Held})
	e.log.Warn("authorization taken back by the customer", "name", grant)
}
