package refresh

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// codes is the authorization codes that are being exchanged, or have just been. The same
// code comes on several ways (the event, its repetitions, the redirect of the browser)
// and can be used once. Its zero value is ready.
type codes struct {
	mu    sync.Mutex
	known map[string]*exchange // by key

	// orphans are those that wait for their parent to have a value, by the parent's name.
	orphans map[string]map[*exchange]chan struct{}
}

// codesKnown bounds how many exchanged codes are remembered.
const codesKnown = 4096

// exchange is one code's way to a grant.
type exchange struct {
	// Set when it begins.
	owner string
	value secret.Text
	key   string
	at    time.Time // the event's time

	// tries is how often it was tried, earlier runs included, and next when it may be tried
	// again; noted: the coming try is counted already; orphan: the last one found no parent.
	// Known to its own goroutine alone.
	tries  int
	next   clock.Instant
	noted  bool
	orphan bool

	// until is when the code is of no use any more, if WeChat was told that it has arrived: it
	// is tried until then, over restarts too. Zero: somebody waits who can try
	// again. ended: no further try will be made. Guarded by codes.mu.
	until clock.Instant
	ended bool

	// done is closed at the end; what follows is set before. Where the disk has refused the
	// grant, grant names it: it is in force, and not yet what was asked for.
	done        chan struct{}
	name, grant string
	err         error
	useless     bool // WeChat does not know the code, or not any more: no call helps
}

// Exchange turns an authorization code into a grant of owner's and returns the name
// owner/child. The grant is durable then, and the customer's token can be asked for. A code that
// is being exchanged, or just has been, is not sent a second time. ctx bounds the
// waiting, not the exchange.
func (e *Engine) Exchange(ctx context.Context, owner string, code secret.Text) (name string, err error) {
	if err := e.ready(ctx); err != nil {
		return "", err
	}
	x, err := e.begin(&exchange{owner: owner, value: code, at: time.Now(), tries: 1, noted: true})
	if err != nil {
		return "", err
	}
	select {
	case <-x.done:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if err := e.outcome(ctx, x); err != nil {
		return "", err
	}
	return x.name, nil
}

// Accept takes on an authorization code that WeChat has sent at the time at and that is
// of use until until. It returns when the code is on disk; the exchange follows, is
// tried again after passing faults, and goes on after a restart.
func (e *Engine) Accept(ctx context.Context, owner string, code secret.Text, at, until time.Time) error {
	if err := e.ready(ctx); err != nil {
		return err
	}
	if _, err := (*e.catalog.Load()).Onboarding(owner); err != nil {
		return err
	}
	key := e.mark.code(owner, code)
	e.codes.mu.Lock()
	known := e.codes.known[key]
	promised := known != nil && !known.ended && known.until != 0
	e.codes.mu.Unlock()
	switch {
	case promised:
		return nil // WeChat repeats itself
	case known != nil && known.settled():
		if err := e.outcome(ctx, known); !known.useless {
			return err
		}
		return nil
	}
	x := &exchange{owner: owner, value: code, key: key, at: believed(at, time.Now()), until: instantOf(e.clock.At(until)), noted: true}
	e.trying(x)
	if err := e.cfg.Store.Put(ctx, e.keepCode(x, x.until)); err != nil {
		return fmt.Errorf("keep an authorization code: %w", err)
	}
	_, err := e.begin(x)
	return err
}

// outcome returns what came of x, which is done. A grant that the disk has refused gets another
// chance: nil says that it is durable.
func (e *Engine) outcome(ctx context.Context, x *exchange) error {
	if x.grant == "" {
		return x.err
	}
	if err := e.saveGrant(ctx, x.grant); err != nil {
		return fmt.Errorf("keep the grant of %s: %w", x.name, err)
	}
	return nil
}

// settled reports whether x has come to a grant, or is known never to.
func (x *exchange) settled() bool {
	select {
	case <-x.done:
		return x.err == nil || x.grant != "" || x.useless
	default:
		return false
	}
}

// begin returns the exchange of x's code that is under way or settled, or begins x.
func (e *Engine) begin(x *exchange) (*exchange, error) {
	way, err := (*e.catalog.Load()).Onboarding(x.owner)
	if err != nil {
		return nil, err
	}
	if x.key == "" {
		x.key = e.mark.code(x.owner, x.value)
	}
	x.done = make(chan struct{})
	e.codes.mu.Lock()
	defer e.codes.mu.Unlock()
	if known := e.codes.known[x.key]; known != nil && (!known.ended || known.settled()) {
		known.until = max(known.until, x.until)
		return known, nil
	}
	e.life.Lock()
	defer e.life.Unlock()
	if e.stopped {
		return nil, stopping()
	}
	e.codes.remember(x)
	e.flights.Go(func() { e.redeem(x, way) })
	return x, nil
}

// remember adds x, at the cost of some other that has ended. mu is held.
func (cs *codes) remember(x *exchange) {
	if cs.known == nil {
		cs.known = map[string]*exchange{}
	}
	for key, old := range cs.known {
		if len(cs.known) < codesKnown {
			break
		}
		if old.ended {
			delete(cs.known, key)
		}
	}
	cs.known[x.key] = x
}

// await returns what is closed when parent has come by a value. Whoever waits forgoes it in the end.
func (cs *codes) await(parent string, x *exchange) <-chan struct{} {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.orphans == nil {
		cs.orphans = map[string]map[*exchange]chan struct{}{}
	}
	if cs.orphans[parent] == nil {
		cs.orphans[parent] = map[*exchange]chan struct{}{}
	}
	woken := make(chan struct{})
	cs.orphans[parent][x] = woken
	return woken
}

// forgo ends x's waiting for parent.
func (cs *codes) forgo(parent string, x *exchange) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.orphans[parent], x)
}

// wake wakes those that wait for parent.
func (cs *codes) wake(parent string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, woken := range cs.orphans[parent] {
		close(woken)
	}
	delete(cs.orphans, parent)
}

// resume takes up the codes that an earlier run has promised to exchange.
func (e *Engine) resume() {
	kept, errs := all(e.cfg.Store, record.Codes, e.keptExchange)
	for _, err := range errs {
		e.log.Error("cannot read an authorization code: the customer must authorise again", "error", err)
	}
	var useless []record.Record
	now := e.clock.Now()
	for _, x := range kept {
		if x.until <= now {
			useless = append(useless, record.Record{Table: record.Codes, Key: x.key})
			continue
		}
		if _, err := e.begin(x); err != nil {
			e.log.Warn("an authorization code waits for its owner to be configured", "owner", x.owner, "error", err)
		}
	}
	if err := e.forget(useless); err != nil {
		e.log.Error("cannot delete authorization codes that are of no use any more", "error", err)
	}
}
