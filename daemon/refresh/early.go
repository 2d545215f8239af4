package refresh

import (
	"context"
	"sync"

	"tokend/daemon/record"
)

// This file is what can be had while the engine is still loading. A large platform's records take
// seconds, at every start, and most clients ask for what is valid by its own record. Whatever else
// there is to know waits until all is known.

// isLoaded reports whether all that was kept is in force.
func (e *Engine) isLoaded() bool {
	select {
	case <-e.loaded:
		return true
	default:
		return false
	}
}

// ready waits until all that was kept is in force. Its error is ctx's, or a *credential.Error: the
// engine stops before.
func (e *Engine) ready(ctx context.Context) error {
	if e.isLoaded() {
		e.dateAgain()
		return nil
	}
	select {
	case <-e.loaded:
		return nil
	case <-e.base.Done():
		return stopping()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitLoaded waits until all that was kept is in force, or never will be.
func (e *Engine) awaitLoaded() { _ = e.ready(context.Background()) }

// Loaded returns a channel that is closed when all that was kept is in force.
func (e *Engine) Loaded() <-chan struct{} { return e.loaded }

// early returns the credential of name that was kept, until the loading has ended, if
// it is certainly in force. Both nil: the loading has ended. A
// name that there is not is refused at once, as it is afterwards.
func (e *Engine) early(ctx context.Context, name string) (*cached, error) {
	spec, err := e.lookup(name)
	if err != nil {
		return nil, err
	}
	if spec.Policy.Grant {
		return nil, writeOnly()
	}
	if c := e.readEarly(&spec); c != nil {
		return c, nil
	}
	return nil, e.ready(ctx)
}

// readEarly makes an entry of the stored record of spec, unless the loading has done so, and
// returns its value. It returns nil if the value is not certain to be in force. It may be missing,
// expired or unreadable. It may be dated by the wall clock, which may have been set back. Its grant
// may be unusable or unreadable. The loading decides these cases.
func (e *Engine) readEarly(spec *Spec) *cached {
	en := e.index.get(spec.Name)
	if en == nil && e.maybeDead(spec) {
		return nil
	}
	if en == nil {
		r, err := e.cfg.Store.Get(record.Credentials, spec.Name)
		if err != nil || r.Value == nil {
			return nil
		}
		v, err := record.DecodeCredential(r)
		if err != nil || v.Target != spec.Target || e.doubts(v) {
			return nil
		}
		c := e.kept(v)
		if c.end <= e.clock.Now() || e.alike(c) != c {
			return nil
		}
		if spec.Grant != "" {
			if _, err := e.grants.live(spec.Grant); err != nil {
				return nil
			}
		}
		if en = e.admitEarly(spec, c); en == nil {
			return nil
		}
	}
	// Holds and dues are not looked at by who reads, and may still be missing here. The reads from
	// the store may have taken longer than the value had left.
	now := e.clock.Now()
	c := en.valid(now)
	if c != nil {
		en.touch(now)
	}
	return c
}

// gate lets readers make entries of what they have read from the store, until it is shut. What
// they have read may then have been revoked, replaced or taken out of the configuration, and
// nothing would plan an entry. Its zero value is open.
type gate struct {
	mu   sync.Mutex
	over bool
}

// shut returns when no reader makes an entry any more.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
}

// admitEarly is admit for a reader; nil if the loading has ended since.
func (e *Engine) admitEarly(spec *Spec, c *cached) *entry {
	e.earlyReads.mu.Lock()
	defer e.earlyReads.mu.Unlock()
	if e.earlyReads.over {
		return nil
	}
	return e.admit(spec, c)
}
