package refresh

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/fetchers/secret"
)

// codes is the authorization codes that are being exchanged, or have just been. The same
// code comes on several ways (the event, its repetitions, the redirect of the browser)
// and can be used once. Its zero value is ready.
type codes struct {
	mu    sync.Mutex
	known map[string]*exchange // by key

	// coming are those whose customer is known and that are not over, by the grant that they are to
	// bring, the last one last.
	coming map[string][]*exchange

	// spent are those that were exchanged, oldest first: see spent.go.
	spent []*exchange

	// waiting are those that wait for their parent to have a value, or for their endpoint to be
	// free, by its name.
	waiting map[string]map[*exchange]chan struct{}

	undeleted atomic.Bool // the disk has refused to delete the record of a settled code
}

// codesKnown bounds how many exchanged codes are remembered, and how many codes in all unless more
// are pending.
const codesKnown = 4096

// exchange is one code's way to a grant.
type exchange struct {
	// Set when it becomes known.
	owner string
	value secret.Text
	key   string
	came  clock.Instant // to this host, in this run

	// tries is how often it was tried, earlier runs included, and next when it may be tried again.
	// noted: the next try is counted already. waits is the name of what the last one lacked, a
	// parent or an endpoint. shared: another host has tried it, too. Known to its own goroutine
	// alone.
	tries  int
	next   clock.Instant
	noted  bool
	waits  string
	shared bool

	// What follows is guarded by codes.mu.

	at    time.Time // the event's time, or when the code was submitted
	grant string    // what it is to bring; "" where no message has named the customer

	// until is when the code expires, if its arrival was acknowledged to WeChat: it
	// is tried until then, over restarts too. Zero: somebody waits who can try
	// again. started: it has a goroutine. ended: no further try will be made.
	until          clock.Instant
	started, ended bool

	// settled is closed when x ended because of another host; nil without peers.
	settled chan struct{}

	// pause is why it is not being tried just now; nil while it is. tried is closed when the try
	// ends.
	pause *retryPause
	tried chan struct{}

	// The result; set before ended. unsaved: the grant is in force, but the disk has refused it.
	name    string
	unsaved bool
	err     error
	useless bool // WeChat does not know the code, or not any more: no call helps

	forget clock.Instant // when it need not be remembered any more, once it is exchanged
}

// retryPause is the time between two tries.
type retryPause struct {
	told *credential.Error
	over clock.Instant // never: told says the same at all times
}

// err returns what there is to tell at now.
func (p *retryPause) err(now clock.Instant) *credential.Error {
	told := *p.told
	if p.over != never {
		told.RetryAfter = max(p.over.Sub(now), time.Second)
	}
	return &told
}

// Exchange turns an authorization code into a grant of owner's and returns the name owner/child.
// The grant is durable then, and the customer's token can be asked for. A code that is being
// exchanged, or just has been, is not sent a second time. A code that waits for its next try is
// answered at once, with the reason. ctx bounds the waiting, not the exchange.
func (e *Engine) Exchange(ctx context.Context, owner string, code secret.Text) (name string, err error) {
	if err := e.ready(ctx); err != nil {
		return "", err
	}
	x, err := e.begin(&exchange{owner: owner, value: code, at: e.clock.Time(), came: e.clock.Now(), tries: 1, noted: true})
	if err != nil {
		return "", err
	}
	for {
		told, news := e.codes.look(x, e.clock.Now())
		switch {
		case told != nil:
			return "", told
		case news == nil:
			if err := e.outcome(ctx, x); err != nil {
				return "", err
			}
			return x.name, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// look returns how x stands: why it is not being tried, or what is closed when there is news; both
// nil when it is over.
func (cs *codes) look(x *exchange, now clock.Instant) (told *credential.Error, news <-chan struct{}) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	switch {
	case x.ended:
		return nil, nil
	case x.pause != nil:
		return x.pause.err(now), nil
	}
	return nil, x.tried
}

// paused reports whether x is between two tries of this run.
func (cs *codes) paused(x *exchange) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return x.pause != nil
}

// outcome returns what came of x, which is over. A grant that the disk has refused gets another
// chance: nil says that it is durable.
func (e *Engine) outcome(ctx context.Context, x *exchange) error {
	if !x.unsaved {
		return x.err
	}
	if err := e.outlast(ctx, func() error { return e.saveGrant(ctx, x.grant) }); err != nil {
		return fmt.Errorf("keep the grant of %s: %w", x.name, err)
	}
	return nil
}

// settledLocked reports whether x has brought a grant, or never will. codes.mu is held.
func (x *exchange) settledLocked() bool {
	return x.ended && (x.err == nil || x.unsaved || x.useless)
}

// begin returns the exchange of x's code that is under way or settled, or begins x.
func (e *Engine) begin(x *exchange) (*exchange, error) {
	x, err := e.register(x)
	if err != nil {
		return nil, err
	}
	e.codes.mu.Lock()
	defer e.codes.mu.Unlock()
	return x, e.launchLocked(x)
}

// register returns the exchange of x's code that is known and not over, or settled, or makes x
// known.
func (e *Engine) register(x *exchange) (*exchange, error) {
	if _, err := (*e.catalog.Load()).Onboarding(x.owner); err != nil {
		return nil, err
	}
	if x.key == "" {
		x.key = e.fingerprints.code(x.owner, x.value)
	}
	x.tried = make(chan struct{})
	if e.cfg.Peers != nil {
		x.settled = make(chan struct{})
	}
	e.codes.mu.Lock()
	defer e.codes.mu.Unlock()
	if known := e.codes.known[x.key]; known != nil && (!known.ended || known.settledLocked()) {
		return known, nil
	}
	e.codes.rememberLocked(x)
	return x, nil
}

// launchLocked gives x, which is known, its goroutine, unless it has one or is over. codes.mu is
// held.
func (e *Engine) launchLocked(x *exchange) error {
	if x.started || x.ended {
		return nil
	}
	e.life.Lock()
	defer e.life.Unlock()
	if e.stopped {
		return stopping()
	}
	x.started = true
	e.flights.Go(func() { e.redeem(x) })
	return nil
}

// rememberLocked adds x, at the cost of some other that has ended without a grant. Exchanged codes
// are forgotten by age, see retireLocked. mu is held.
func (cs *codes) rememberLocked(x *exchange) {
	if cs.known == nil {
		cs.known, cs.coming = map[string]*exchange{}, map[string][]*exchange{}
	}
	for key, old := range cs.known {
		if len(cs.known) < codesKnown {
			break
		}
		if old.ended && old.name == "" {
			delete(cs.known, key)
		}
	}
	cs.known[x.key] = x
	if x.grant != "" && !slices.Contains(cs.coming[x.grant], x) {
		cs.coming[x.grant] = append(cs.coming[x.grant], x)
	}
}

// unexpectLocked takes x out of those that are coming. mu is held.
func (cs *codes) unexpectLocked(x *exchange) {
	left := slices.DeleteFunc(cs.coming[x.grant], func(other *exchange) bool { return other == x })
	if len(left) > 0 {
		cs.coming[x.grant] = left
		return
	}
	delete(cs.coming, x.grant)
}

// given returns when the customer gave x's authorization, and whether the arrival of
// its code was acknowledged to WeChat.
func (cs *codes) given(x *exchange) (at time.Time, promised bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return x.at, x.until != 0
}

// brought notes what x was exchanged for: the customer called name and its grant.
func (cs *codes) brought(x *exchange, name, grant string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.unexpectLocked(x)
	if !x.ended { // else because of another host: callers read the result
		x.name, x.grant = name, grant
	}
}

// endLocked ends x, whose result is set. mu is held.
func (cs *codes) endLocked(x *exchange) {
	if x.pause == nil {
		close(x.tried)
	}
	x.ended, x.pause = true, nil
	cs.unexpectLocked(x)
}

// await returns what is closed when what is called name, a parent or an endpoint, may be used
// again. Callers that wait call forgo in the end.
func (cs *codes) await(name string, x *exchange) <-chan struct{} {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.waiting == nil {
		cs.waiting = map[string]map[*exchange]chan struct{}{}
	}
	if cs.waiting[name] == nil {
		cs.waiting[name] = map[*exchange]chan struct{}{}
	}
	woken := make(chan struct{})
	cs.waiting[name][x] = woken
	return woken
}

// forgo ends x's waiting for what is called name.
func (cs *codes) forgo(name string, x *exchange) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.waiting[name], x)
}

// wake wakes those that wait for what is called name.
func (cs *codes) wake(name string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, woken := range cs.waiting[name] {
		close(woken)
	}
	delete(cs.waiting, name)
}
