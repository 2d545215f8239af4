package refresh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// Push stores a ticket that WeChat has pushed, with the time that the message itself states; zero
// for none. It replaces the stored one if its time is later, or the same and the value another;
// stragglers and replays change nothing. One without a time may be a replay: it replaces no ticket
// that has one and has not ended. The ticket lives from its own time, or from its arrival where
// that is off by more than ten minutes or not stated. It is durable when Push returns nil. What the
// disk refuses is in force all the same, and written as soon as that is possible: nobody can ask
// for it.
func (e *Engine) Push(ctx context.Context, name string, value secret.Text, at time.Time) error {
	p := e.pushes(name, value, at)
	if err := e.ready(ctx); err != nil {
		return err
	}
	return e.outlast(ctx, func() error {
		err := e.carryOut(ctx, p)[0]
		p.after()
		return err
	})
}

// push is a ticket that has been pushed: comparing, writing and publishing it are one step.
type push struct {
	engine *Engine
	name   string
	value  secret.Text
	at     time.Time
	byHand bool // put, not pushed: it is later than all that is stored

	// came and wall are when it came, whatever it has to wait for.
	came clock.Instant
	wall time.Time

	// Set by prepare.
	en    *entry
	now   clock.Instant
	comes *cached // in place of the one in force; nil where that stays
	saves bool    // what is in force is not on disk yet

	changed bool
}

// puts returns the push of a value that a client puts now, stamped so.
func (e *Engine) puts(name string, value secret.Text) *push {
	p := e.pushes(name, value, e.clock.Time())
	p.byHand = true
	return p
}

// pushes returns the push of what comes now; see Push.
func (e *Engine) pushes(name string, value secret.Text, at time.Time) *push {
	return &push{engine: e, name: name, value: value, at: at, came: e.clock.Now(), wall: e.clock.Time()}
}

func (p *push) names(to []string) []string { return append(to, p.name) }

func (p *push) needs() string { return "" }

func (p *push) prepare(storedGrant) ([]record.Record, error) {
	e := p.engine
	en, err := e.entry(p.name)
	if err != nil {
		return nil, err
	}
	if en.policy().Pushed == 0 {
		return nil, &credential.Error{Reason: credential.Unfit, RetryAfter: credential.Never, Message: p.name + " is not pushed"}
	}
	p.en, p.now, p.comes, p.saves = en, e.clock.Now(), nil, false
	before, comes := en.current.Load(), p.ticket(en.policy())
	if p.byHand && before != nil && outranks(before.stamp(), comes.stamp(), p.wall) {
		// WeChat's clock, by which that is dated, is ahead.
		comes.pushed.stamp = before.stamp()
	}
	if before != nil && !comes.supersedes(before, p.wall, p.now) {
		e.log.Debug("push changes nothing: what is stored is newer, or the same", "name", p.name)
		en.mu.Lock()
		p.saves = en.volatile
		en.mu.Unlock()
		if !p.saves {
			return nil, nil
		}
		return []record.Record{e.keep(p.name, "", before)}, nil
	}
	if before != nil {
		comes.pushed.previous = before.text
	}
	p.comes = comes
	return []record.Record{e.keep(p.name, "", comes)}, nil
}

func (p *push) settle(refused error) (err error) {
	e, en := p.engine, p.en
	if refused != nil {
		err = fmt.Errorf("keep a pushed ticket, which is in force in memory: %w", refused)
	}
	if p.comes == nil {
		if p.saves && refused == nil {
			en.mu.Lock()
			en.noteSaved()
			en.mu.Unlock()
		}
		return err
	}
	en.mu.Lock()
	failures := en.hold.failed()
	why := e.applyLocked(en, valuePublished{
		value: p.comes, refresh: p.now.Add(en.policy().Quiet), refused: refused != nil,
		attempt: credential.Attempt{At: p.wall.UTC(), Cause: credential.CausePush, Outcome: "ok"},
	}, p.now)
	en.mu.Unlock()
	if why != nil {
		return why // its account was taken out of the configuration this moment
	}
	if refused != nil {
		e.unsaved.add(en)
	}
	p.changed = true
	e.log.Info("ticket pushed", "name", p.name, "expires_in", p.comes.end.Sub(p.now).Round(time.Second), "fingerprint", e.fingerprints.of(p.value), "failures_before", failures, "durable", refused == nil)
	return err
}

// after does what follows from p and locks other names.
func (p *push) after() {
	if p.changed {
		p.engine.wakeChildren(p.name)
	}
}

// ticket returns what p makes of its value.
func (p *push) ticket(of *policy.Policy) *cached {
	stamp, issued := undated, p.came
	if !p.at.IsZero() {
		stamp = p.engine.believed(p.at, p.wall)
	}
	if age := p.wall.Sub(stamp); age.Abs() <= tolerance {
		issued = p.came.Add(-age)
	}
	return &cached{
		text: p.value, issued: issued, seen: p.came, end: issued.Add(of.Pushed), life: of.Pushed,
		pushed: &pushed{stamp: stamp.Round(0)},
	}
}

// supersedes reports whether c, pushed at wall and now, replaces before. A stamp far in the future
// says nothing: see outranks. Within the tolerance it stands: WeChat's clock may be ahead, and
// orders WeChat's pushes all the same. Stamps are compared by whole seconds, as WeChat writes them:
// what was put has a finer one.
func (c *cached) supersedes(before *cached, wall time.Time, now clock.Instant) bool {
	stood, comes := before.stamp().Truncate(time.Second), c.stamp().Truncate(time.Second)
	switch {
	case future(stood, comes, wall):
		return true
	case stood.Equal(comes):
		return before.text != c.text
	case comes.Equal(undated):
		return before.end <= now // better than none
	case stood.Equal(undated):
		stood = wall.Add(-now.Sub(before.issued) - tolerance) // it came then, and was made not long before
	}
	return comes.After(stood)
}

// undated is the stamp of a ticket without a time of its own.
var undated = time.Unix(1, 0)

// nudgeEvery is how often WeChat is asked to push again: "at most hourly".
const nudgeEvery = time.Hour

// noteMissingTicket notes and logs that no push has come for too long, and asks WeChat to push
// where it can be asked. A push that comes before it has done so makes it unnecessary.
func (e *Engine) noteMissingTicket(en *entry) {
	spec, err := e.lookup(en.name)
	if err != nil {
		return // its account was taken out of the configuration this moment
	}
	en.mu.Lock()
	now := e.clock.Now()
	if !e.readyLocked(en, now) {
		en.mu.Unlock()
		return
	}
	since := "since the start"
	if c := en.current.Load(); c != nil {
		since = fmt.Sprintf("for %s", now.Sub(c.seen).Round(time.Minute))
	}
	h := &hold{
		reason: credential.NoTicket, message: "no push " + since, failures: en.hold.failed() + 1,
		settings: spec.Settings, derived: true, since: now, until: now.Add(nudgeEvery),
	}
	valid := en.valid(now) != nil
	e.applyLocked(en, ticketMissing{h}, now)
	en.mu.Unlock()
	e.log.Warn("WeChat has not pushed a ticket for too long", "name", en.name, "quiet", since, "serving", valid)
	if spec.Nudge == nil || !en.heldBy(h) {
		return
	}
	if err := e.charge(e.base, &spec, usage{budgets: spec.Policy.Nudges}); err != nil {
		return // asked less than an hour ago, maybe by an earlier run
	}
	asked := false
	for attempt := 1; ; attempt++ {
		err = e.slot(e.base, e.host(&spec), credential.OwnerOf(en.name), patient, false, func(ctx context.Context) error {
			if asked = en.heldBy(h); !asked {
				return nil // a push has come while this waited for its slot
			}
			return spec.Nudge(ctx)
		})
		// An attempt that reached no host uses up nothing of the hour: the next host is asked.
		if lost, ok := errors.AsType[*fetchers.TransportError](err); !ok || lost.Sent || attempt > lost.Repeat {
			break
		}
	}
	switch {
	case err != nil:
		e.log.Warn("WeChat was asked to push tickets again and refused", append([]any{"name", en.name, "error", err}, said(err)...)...)
	case asked:
		e.log.Info("WeChat was asked to push tickets again", "name", en.name)
	}
}

// heldBy reports whether h is still why en is not in order.
func (en *entry) heldBy(h *hold) bool {
	en.mu.Lock()
	defer en.mu.Unlock()
	return en.hold == h
}

// expect makes entries of all pushed tickets that the catalog knows, so that their
// absence is noticed.
func (e *Engine) expect(now clock.Instant) {
	c := *e.catalog.Load()
	for _, name := range c.Pushed() {
		spec, err := c.Lookup(name)
		if err != nil || e.index.get(name) != nil {
			continue
		}
		made := e.newEntry(&spec)
		e.inheritValue(made, &spec)
		made.mu.Lock()
		if e.index.add(made) == made {
			e.applyLocked(made, refreshMoved{now.Add(spec.Policy.Quiet)}, now)
		}
		made.mu.Unlock()
	}
}

// Put stores value under name. It is durable when Put returns nil. Its error is an
// *credential.Error where the name does not take such a value.
func (e *Engine) Put(ctx context.Context, name string, value secret.Text) error {
	return e.PutAll(ctx, []credential.Deposit{{Name: name, Value: value}})[0]
}

// PutAll is Put for each of all. Those of one name keep their order. As many as possible are
// written at once, so that many cost the disk little more than one. The error at i is that of
// all[i]; what is wrong with one is no matter of the others.
func (e *Engine) PutAll(ctx context.Context, all []credential.Deposit) []error {
	errs := make([]error, len(all))
	takes := make([]change, len(all))
	left := make([]int, 0, len(all))
	at := e.clock.Time()
	for i, d := range all {
		if takes[i], errs[i] = e.takes(d, at); errs[i] == nil {
			left = append(left, i)
		}
	}
	if err := e.ready(ctx); err != nil {
		for _, i := range left {
			errs[i] = err
		}
		return errs
	}
	all = slices.Clone(all) // the caller's, who may be gone before the end
	each := slices.Clone(errs)
	err := e.outlast(ctx, func() error {
		for left := left; len(left) > 0; {
			left = e.putSome(ctx, all, takes, left, each)
		}
		return nil
	})
	if err == nil {
		return each
	}
	for _, i := range left {
		errs[i] = err
	}
	return errs
}

// takes returns the change that d makes at the time at.
func (e *Engine) takes(d credential.Deposit, at time.Time) (change, error) {
	spec, err := e.lookup(d.Name)
	if err != nil {
		return nil, err
	}
	switch p := spec.Policy; {
	case p.Pushed > 0:
		return e.puts(d.Name, d.Value), nil
	case p.Grant:
		a := e.amendmentOf(givenGrant{name: d.Name, next: record.Generation{Value: d.Value, At: at, Source: fromPut}})
		a.engine = e
		return a, nil
	}
	return nil, &credential.Error{Reason: credential.Unfit, RetryAfter: credential.Never, Message: d.Name + " is fetched from WeChat: only pushed tickets and grants can be put"}
}

// putSome carries out those of takes that left tells, giveBatch at most and none of them of the
// same name as another, and returns which are left.
func (e *Engine) putSome(ctx context.Context, all []credential.Deposit, takes []change, left []int, errs []error) (still []int) {
	names := make(map[string]struct{}, min(len(left), giveBatch))
	now, which := make([]change, 0, len(left)), make([]int, 0, len(left))
	for _, i := range left {
		if _, again := names[all[i].Name]; again || len(now) == giveBatch {
			still = append(still, i)
			continue
		}
		names[all[i].Name] = struct{}{}
		now, which = append(now, takes[i]), append(which, i)
	}
	for k, err := range e.carryOut(ctx, now...) {
		errs[which[k]] = err
	}
	for _, c := range now {
		if p, ok := c.(*push); ok {
			p.after()
		}
	}
	return still
}
