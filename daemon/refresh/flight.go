package refresh

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// rank is that of its calls. Who joins a flight of the schedule later waits as it does.
func (f *flight) rank() rank {
	if f.background() {
		return patient
	}
	return awaited
}

// startLocked starts a flight for en, which has none. en.mu is held.
func (e *Engine) startLocked(en *entry, cause credential.Cause) (*flight, error) {
	f := &flight{cause: cause, done: make(chan struct{})}
	if err := e.beginLocked(en, f); err != nil {
		return nil, err
	}
	e.applyLocked(en, flightStarted{f}, e.clock.Now())
	return f, nil
}

// beginLocked lets f fly for en. en.mu is held, which f needs to land.
func (e *Engine) beginLocked(en *entry, f *flight) error {
	if en.gone() != nil {
		return en.gone()
	}
	e.life.Lock()
	defer e.life.Unlock()
	if e.stopped {
		return stopping()
	}
	e.flights.Go(func() { e.fly(en, f) })
	return nil
}

// fly fetches and lands.
func (e *Engine) fly(en *entry, f *flight) {
	if f.leave != nil {
		defer f.leave()
	} else {
		// An entry of the same name may have gone out of service with its fetch still under
		// way: one call for a credential at a time.
		end, _ := e.calling.lock(context.Background(), en.name)
		defer end()
	}
	x := &fetch{engine: e, en: en, flight: f}
	x.run()
}

// fetch is the work of one flight: what its last call was made by and with, or could not be made
// with, and what has come of it. It is known to the goroutine of the flight alone.
type fetch struct {
	engine *Engine
	en     *entry
	flight *flight

	ctx           context.Context // ends its calls
	spec          *Spec
	parent, grant secret.Text
	force         bool

	// refused is the grant in force that WeChat has refused, and tried are the grants of late
	// answers that were tried in its place, the last one last.
	refused secret.Text
	tried   []secret.Text

	stood   *cached // when the last call was sent
	got     answer
	attempt credential.Attempt

	permit permit // of the other hosts
}

// run fetches and lands.
func (x *fetch) run() {
	defer x.give()
	if err := x.readSpec(); err != nil {
		x.abandon(0, unconfigured(x.en.name)) // its account was taken out of the configuration this moment
		return
	}
	clock := x.engine.clock
	wall, began := clock.Time(), clock.Now()
	err := x.request()
	x.attempt = credential.Attempt{At: wall.UTC(), Cause: x.flight.cause, Took: clock.Now().Sub(began)}
	switch {
	case err == errFollowed:
		x.yield()
	case err != nil:
		x.fail(err)
	case x.spec.Policy.PerAsk:
		x.handOver()
		x.putLateInForce()
	default:
		x.land()
		x.putLateInForce()
	}
}

// readSpec reads the configuration in force, or returns why it cannot.
func (x *fetch) readSpec() error {
	spec, err := x.engine.lookup(x.en.name)
	if err == nil {
		x.spec = &spec
	}
	return err
}

// request calls upstream until there is an answer or a reason to stop.
func (x *fetch) request() (err error) {
	e, spec := x.engine, x.spec
	defer func() {
		if r := recover(); r != nil {
			e.log.Error("a fetcher panicked", "name", x.en.name, "panic", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
			err = &faultError{errors.New("a fetcher panicked")}
		}
	}()
	x.ctx = e.base
	if spec.Policy.Rotates {
		// A stopping daemon lets this one end by its timeout: the answer may
		// have ended the value that is on disk.
		x.ctx = context.WithoutCancel(x.ctx)
	}
	x.force = x.flight.cause == credential.CauseRefresh && spec.Policy.Forcible
	if spec.Grant != "" {
		grant, err := e.live(spec.Grant)
		if err != nil {
			return err
		}
		x.grant = grant.Value
	}
	w := &wants{parent: spec.Parent, tries: quickTries, life: x.en.life(), spread: x.en.spread()}
	if x.flight.cause == credential.CauseRefresh {
		w.tries = 1 // an operator sees the error and decides; a forced try has its price
	}
	defer func() { x.parent = w.had }()
	err = e.ask(x.ctx, w, x.call)
	for x.refusesGrant(err) && x.tryLate() {
		err = e.ask(x.ctx, w, x.call)
	}
	if err != nil && len(x.tried) > 0 {
		x.grant = x.refused
	}
	refusal := grantRefused(err)
	if refusal == nil || spec.Platform == "" {
		return err
	}
	listed, err := e.recoverGrant(x.spec, x.grant, refusal)
	if err != nil {
		return err
	}
	x.grant = listed
	return e.ask(x.ctx, w, x.call)
}

// grantRefused returns the error by which WeChat has refused the grant of a call; nil if err is
// another.
func grantRefused(err error) *fetchers.APIError {
	if refusal, ok := errors.AsType[*fetchers.APIError](err); ok && refusal.Reaction == fetchers.GrantRefused {
		return refusal
	}
	return nil
}

// refusesGrant reports whether err is WeChat's refusal of the grant of the call, final or not. The
// calls for tickets are made with a token alone.
func (x *fetch) refusesGrant(err error) bool {
	refusal, ok := errors.AsType[*fetchers.APIError](err)
	if !ok || x.spec.Grant == "" || refusal.Reaction != fetchers.GrantRefused && refusal.Reaction != fetchers.Reauthorize {
		return false
	}
	parent, err := x.engine.lookup(x.spec.Parent)
	return x.spec.Parent == "" || err == nil && parent.Grant != x.spec.Grant
}

// wants is what a call needs: the value of parent, "" for none. While WeChat is busy, it is tried
// at most so many times, with short pauses that shrink with life and vary by spread.
type wants struct {
	parent string
	tries  int
	life   time.Duration
	spread float64

	had secret.Text // the last value of the parent, used or known to be dead; set by ask
}

// ask does what wants w. If WeChat reports the parent as dead, the parent is refreshed once and the
// call repeated. If WeChat is busy, the call is repeated after a pause. A call whose connection or
// host failed is repeated at once, as often as its fetcher allows. Each call has its own slot,
// timeout and charge to the budgets. A stopping engine makes no further call. A value of the parent
// that has ended, or that WeChat has refused to another, is not tried: it is replaced first.
func (e *Engine) ask(ctx context.Context, w *wants, do func(parent secret.Text) error) error {
	w.had = ""
	if w.parent != "" {
		c, err := e.obtain(ctx, w.parent, credential.CauseParent)
		if err != nil {
			return &parentError{w.parent, err}
		}
		w.had = c.text
	}
	replaced, repeats := false, 0
	var before error // of the attempt that is being repeated; nil if an answer has come since
	for try := 1; ; try++ {
		err := e.alive(w.parent, w.had)
		if err == nil {
			err = do(w.had)
		}
		api, refused := errors.AsType[*fetchers.APIError](err)
		lost, unanswered := errors.AsType[*fetchers.TransportError](err)
		_, full := errors.AsType[*guardError](err)
		switch known := errors.Is(err, errDeadParent); {
		case full && before != nil:
			return before // the budgets have no room for a repetition
		case unanswered && repeats < lost.Repeat && e.base.Err() == nil:
			repeats++
			before = err
			try--
		case known, refused && api.Reaction == fetchers.ParentDead && w.parent != "" && !replaced:
			next, perr := e.replace(ctx, w.parent, w.had, credential.CauseParent)
			if perr != nil {
				return &parentError{w.parent, perr}
			}
			if next.text == w.had && !known {
				// WeChat repeats the value that it has just refused: another try would loop.
				return err
			}
			w.had, replaced, before = next.text, true, nil
			try--
		case refused && api.Reaction == fetchers.Retry && try < w.tries:
			if !e.pause(e.base, atMostQuarter(jittered(doubled(time.Second, try, time.Minute), w.spread), w.life)) {
				return err
			}
			before = nil
		default:
			return err
		}
	}
}

// life returns the life of the last known value, or a long one.
func (en *entry) life() time.Duration {
	if c := en.current.Load(); c != nil {
		return c.life
	}
	return day
}

// pause waits for d and reports whether ctx let it.
func (e *Engine) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// call makes one call with parent's value, within the budgets. It uses the configuration that is
// in force now, not when the parent was asked for. What was taken out of it is called as it was.
func (x *fetch) call(parent secret.Text) error {
	for {
		_ = x.readSpec()
		x.got = answer{}
		failing, err := x.pay()
		if err == nil {
			err = x.send(parent, failing)
		}
		if again, err := x.lookAgain(err); !again {
			return err
		}
	}
}

// pay charges the call that is about to be made. failing reports that the last call failed.
func (x *fetch) pay() (failing bool, err error) {
	e, en, spec := x.engine, x.en, x.spec
	p := spec.Policy
	use := usage{budgets: spec.budgets(), forced: x.force, early: x.flight.background() && en.valid(e.clock.Now()) != nil}
	if x.force {
		use.budgets = slices.Concat(p.Budgets, p.Forced)
	}
	failing, intent, err := e.intend(en, spec, p)
	switch {
	case err != nil:
		return failing, err
	case x.shares():
		return failing, x.claim(use, intent)
	}
	return failing, e.charge(x.ctx, spec, use, intent...)
}

// send makes the call, which is charged.
func (x *fetch) send(parent secret.Text, failing bool) error {
	e, spec := x.engine, x.spec
	ask := fetchers.Ask{Force: x.force, Parent: parent, Grant: x.grant}
	return e.slot(x.ctx, e.host(spec), credential.OwnerOf(x.en.name), x.flight.rank(), failing, func(ctx context.Context) (err error) {
		if err := e.alive(spec.Parent, parent); err != nil {
			return err
		}
		if err := x.permit.begin(e); err != nil {
			return err
		}
		x.stood = x.en.current.Load()
		x.got, err = e.fetch(ctx, spec, ask)
		x.permit.answered(err)
		return err
	})
}

// fetch returns what WeChat answers to ask.
func (e *Engine) fetch(ctx context.Context, spec *Spec, ask fetchers.Ask) (answer, error) {
	sent := e.clock.Now()
	token, err := spec.Fetcher.Fetch(ctx, ask)
	if err == nil && sent.Add(token.ExpiresIn) <= e.clock.Now() {
		err = &lateError{token.ExpiresIn}
	}
	return answer{text: token.Value, life: token.ExpiresIn, sent: sent, grant: ask.Grant, next: token.Grant}, err
}

// intend returns what is to be written before a call for en is made: the hold that tells the next
// run that this one died in it. After a call of this run that succeeded there is none: the next
// run's first is one more at most. failing reports that the last call failed. The error is that
// en went out of service before the call.
func (e *Engine) intend(en *entry, spec *Spec, p *policy.Policy) (failing bool, recs []record.Record, err error) {
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.gone() != nil {
		return false, nil, en.gone()
	}
	failures, quotas := en.hold.failed(), 0
	if en.hold != nil {
		quotas = en.hold.quotas
	}
	now := e.clock.Now()
	if en.landed && failures == 0 || p.PerAsk || en.paused(now) != nil {
		return failures > 0, nil, nil // or an operator has it called in a hold, which continues if this run dies
	}
	en.noteRecord()
	h := cutShort(failures+1, quotas, en.valid(now) != nil, en.life(), en.spread(), spec.Settings, now)
	return failures > 0, []record.Record{e.keepHold(en.name, h)}, nil
}

// reconfigured reports whether what spec says is not what is configured now.
func (e *Engine) reconfigured(spec *Spec) bool {
	now, err := e.lookup(spec.Name)
	return err != nil || now.Settings != spec.Settings
}

// bySecret reports whether the calls for spec are made with the secret of its account.
func (e *Engine) bySecret(spec *Spec) bool {
	if p := spec.Policy; spec.Grant != "" || p.Pushed > 0 || p.PerAsk || p.Grant {
		return false
	}
	if spec.Parent == "" {
		return true
	}
	parent, err := e.lookup(spec.Parent)
	return err == nil && parent.Policy.Pushed > 0
}
