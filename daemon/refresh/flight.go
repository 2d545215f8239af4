package refresh

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"tokend/daemon/clock"
	"tokend/fetchers"
)

// flight is the one fetch of a credential that is under way. Everybody who
// wants the credential waits for the same flight; nobody's leaving ends it.
type flight struct {
	cause Cause

	// rejected: somebody waits who has rejected the current value. Guarded by the
	// entry's mu.
	rejected bool

	// done is closed when the flight has landed; cred and err are set before
	// and read-only after.
	done chan struct{}
	cred *credential
	err  error
}

// wait returns what the flight brought, or ctx's error if that ends first.
func (f *flight) wait(ctx context.Context) (*credential, error) {
	select {
	case <-f.done:
		return f.cred, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// startLocked starts a flight for en, which has none. en.mu is held.
func (e *Engine) startLocked(en *entry, cause Cause) (*flight, error) {
	if en.gone {
		return nil, gone(en.name)
	}
	e.life.Lock()
	defer e.life.Unlock()
	if e.stopped {
		return nil, stopping()
	}
	f := &flight{cause: cause, done: make(chan struct{})}
	en.flight = f
	e.flights.Go(func() { e.fly(en, f) })
	return f, nil
}

func gone(name string) *Error {
	return &Error{Reason: NotFound, RetryAfter: Never, Message: fmt.Sprintf("%s is not configured any more", name)}
}

func stopping() *Error {
	return &Error{Reason: Stopping, RetryAfter: time.Second, Message: "tokend is stopping"}
}

// fly fetches and lands.
func (e *Engine) fly(en *entry, f *flight) {
	spec := en.spec.Load()
	wall, began := time.Now(), e.clock.Now()
	got, err := e.fetch(en, spec, f)
	a := Attempt{At: wall.UTC(), Cause: f.cause, Took: e.clock.Now().Sub(began)}
	if err != nil {
		e.crash(en, spec, f, a, err)
		return
	}
	e.land(en, spec, f, a, got)
}

// fetch calls upstream until there is an answer or a reason to stop.
func (e *Engine) fetch(en *entry, spec *Spec, f *flight) (got answer, err error) {
	defer func() {
		if r := recover(); r != nil {
			e.log.Error("a fetcher panicked", "name", en.name, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = errors.New("internal error while fetching, see the log")
		}
	}()
	ctx := e.base
	p := spec.Kind.policy()
	if p.rotates {
		// A stopping daemon lets this one end by its timeout: the answer may
		// have ended the value that is on disk.
		ctx = context.WithoutCancel(ctx)
	}
	var parent *credential
	if spec.Parent != "" {
		if parent, err = e.obtain(ctx, spec.Parent, CauseParent); err != nil {
			return answer{}, &parentError{spec.Parent, err}
		}
	}
	replaced := false
	for try := 1; ; try++ {
		got, err = e.call(ctx, spec, p, parent, f.cause == CauseRefresh && p.forcible)
		api, refused := errors.AsType[*fetchers.APIError](err)
		switch {
		case !refused:
			return got, err
		case api.Reaction == fetchers.ParentDead && parent != nil && !replaced:
			next, perr := e.replace(ctx, spec.Parent, parent.text, CauseParent)
			if perr != nil {
				return got, &parentError{spec.Parent, perr}
			}
			if next.text == parent.text {
				// WeChat stands by the value it has just refused: asking on would loop.
				return got, err
			}
			parent, replaced = next, true
			try--
		case api.Reaction == fetchers.Retry && try < quickTries && f.cause != CauseRefresh:
			if !e.pause(ctx, shrink(doubled(time.Second, try, time.Minute), en.life())) {
				return got, err
			}
		default:
			return got, err
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

// call makes one call, within the budgets and the bound on calls at once.
func (e *Engine) call(ctx context.Context, spec *Spec, p *policy, parent *credential, force bool) (answer, error) {
	budgets := p.budgets
	if force {
		budgets = append(budgets[:len(budgets):len(budgets)], p.forced...)
	}
	refusal, undurable := e.ledger.charge(ctx, spec, budgets, time.Now())
	if refusal != nil {
		return answer{}, &guardError{refusal, force}
	}
	if undurable != nil {
		e.log.Error("cannot write how much of a quota is spent: counting in memory", "name", spec.Name, "error", undurable)
	}
	select {
	case e.calls <- struct{}{}:
		defer func() { <-e.calls }()
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.timeout())
	defer cancel()
	ask := fetchers.Ask{Force: force}
	if parent != nil {
		ask.Parent = parent.text
	}
	e.counts.fetches.Add(1)
	sent := e.clock.Now()
	token, err := spec.Fetcher.Fetch(ctx, ask)
	if err != nil {
		return answer{}, err
	}
	if left := sent.Add(token.ExpiresIn).Sub(e.clock.Now()); left <= 0 {
		return answer{}, &lateError{token.ExpiresIn}
	}
	return answer{text: token.Value, life: token.ExpiresIn, sent: sent}, nil
}

// parentError says that a parent cannot be had. The child makes no call then, and needs
// no hold of its own: it asks its parent again, which knows its own.
type parentError struct {
	parent string
	err    error
}

func (e *parentError) Error() string { return fmt.Sprintf("%s: %v", e.parent, e.err) }
func (e *parentError) Unwrap() error { return e.err }

// guardError says that tokend's own guard forbade the call.
type guardError struct {
	reply  *Error
	forced bool
}

func (e *guardError) Error() string { return e.reply.Message }

// lateError says that the answer was dead when it arrived.
type lateError struct{ life time.Duration }

func (e *lateError) Error() string {
	return fmt.Sprintf("answered a value that lives %s, less than the call took", e.life)
}

// instantOf guards against the zero instant, which stands for "not at all".
func instantOf(i clock.Instant) clock.Instant { return max(i, 1) }
