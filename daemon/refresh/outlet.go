package refresh

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tokend/daemon/clock"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// outlet is an endpoint that all customers of an owner share: the exchange of codes, or the
// customer list. A quota is the owner's, so after a refusal one hold stops every code or page, in
// this run and the next.
type outlet struct {
	key     string   // the owner, '#' and the endpoint: of the hold's record, and in no credential name
	limiter *limiter // few calls are in flight when the first refusal arrives

	mu   sync.Mutex
	hold *hold // why no call is made before its end; nil after a success. It may have ended

	probed clock.Instant // when it was last asked in a hold
}

// The endpoints.
const (
	exchanges = "#exchange"
	listings  = "#list"
)

// outletCalls is how many calls are in flight at most at one outlet.
const outletCalls = 8

// outlets are those that were used, by key. Its zero value is ready.
type outlets struct {
	mu  sync.Mutex
	all map[string]*outlet
}

// of returns the outlet of owner, which is configured, and endpoint.
func (os *outlets) of(owner, endpoint string) *outlet {
	os.mu.Lock()
	defer os.mu.Unlock()
	key := owner + endpoint
	o := os.all[key]
	if o == nil {
		if os.all == nil {
			os.all = map[string]*outlet{}
		}
		o = &outlet{key: key, limiter: newLimiter(outletCalls, 1, undivided)}
		os.all[key] = o
	}
	return o
}

// holds reports whether the outlet called key holds calls up, or did so last.
func (os *outlets) holds(key string) bool {
	os.mu.Lock()
	defer os.mu.Unlock()
	o := os.all[key]
	if o == nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.hold != nil
}

// paused returns the hold that forbids a call at now by the settings in force; nil for none.
func (o *outlet) paused(settings string, now clock.Instant, urgent bool) *hold {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.hold
	switch {
	case h == nil, h.settings != settings, now >= h.until:
		return nil
	case urgent && now.Sub(max(h.since, o.probed)) >= probeEvery:
		o.probed = now
		return nil
	}
	return h
}

// probeEvery is how often an outlet is asked in a hold, on behalf of codes whose time is running
// out.
const probeEvery = time.Minute

// unprobe forgets that o was asked in a hold: no answer has come.
func (o *outlet) unprobe() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.probed = 0
}

// outletOwner returns the owner of an outlet by its key; "" where key is a credential's name.
func outletOwner(key string) string {
	owner, _, _ := strings.Cut(key, "#")
	if owner == key {
		return ""
	}
	return owner
}

// loadOutlet takes over the hold of an outlet, and reports whether its record is unused. That of an
// address does not outlive a run.
func (e *Engine) loadOutlet(h record.Hold) (unused bool) {
	owner := outletOwner(h.Name)
	if _, err := (*e.catalog.Load()).Onboarding(owner); err != nil || fetchers.Reaction(h.Cause) == fetchers.AddressRefused {
		return true
	}
	e.outlets.of(owner, h.Name[len(owner):]).hold = e.keptHold(h)
	return false
}

// through does what asks o with the value of way's parent, unless o is held. After a stop of the
// engine no call begins. urgent: later will be too late, so that it may be asked in a hold too,
// once in a while.
func (e *Engine) through(ctx context.Context, o *outlet, way *Onboarding, urgent bool, do func(ctx context.Context, parent secret.Text) error) error {
	w := &wants{parent: way.Parent, tries: quickTries, life: day, spread: spreadOf(o.key)}
	return e.ask(ctx, w, func(parent secret.Text) error {
		round, err := o.limiter.enter(ctx, nil, awaited)
		if err != nil {
			return err
		}
		crowded := false
		defer func() { o.limiter.leave(e.clock.Now(), nil, round, crowded) }()
		if h := o.paused(e.settings(way.Parent), e.clock.Now(), urgent); h != nil {
			return &outletError{h}
		}
		host := e.hostOf(way.Parent)
		err = e.slot(ctx, host, outletOwner(o.key), awaited, false, func(ctx context.Context) error {
			if err := e.alive(way.Parent, parent); err != nil {
				return err
			}
			return do(ctx, parent)
		})
		api, refused := errors.AsType[*fetchers.APIError](err)
		_, unanswered := errors.AsType[*fetchers.TransportError](err)
		switch {
		case unanswered:
			o.unprobe()
		case refused && (api.Reaction == fetchers.QuotaDay || api.Reaction == fetchers.QuotaMinute || api.Reaction == fetchers.AddressRefused):
			crowded = true // when the hold is over, fewer find out whether the cause is
			return e.holdOutlet(o, way.Parent, err)
		case err == nil, refused && api.Reaction == fetchers.CodeRefused:
			e.succeeded(host, e.freeOutlet(o))
		}
		return err
	})
}

// untilStop returns ctx, ended by a stop of the engine too.
func (e *Engine) untilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	cut := context.AfterFunc(e.base, cancel)
	return ctx, func() { cut(); cancel() }
}

// settings returns the settings of the credential called name; "" where there is none.
func (e *Engine) settings(name string) string {
	spec, err := e.lookup(name)
	if err != nil {
		return ""
	}
	return spec.Settings
}

// holdOutlet remembers that o has failed with err, and returns it as the hold's. Of calls that fail
// together the first one counts.
func (e *Engine) holdOutlet(o *outlet, parent string, err error) error {
	now, settings := e.clock.Now(), e.settings(parent)
	o.mu.Lock()
	h, failures, quotas := o.hold, 1, 0
	if h != nil && h.settings == settings {
		if now < h.until {
			o.mu.Unlock()
			return &outletError{h}
		}
		failures, quotas = h.failures+1, h.quotas
	}
	h = failed(err, failures, 0, false, spreadOf(o.key), now)
	h.settings = settings
	h.count(quotas)
	h.shorten(e.hostOf(parent))
	o.hold = h
	o.mu.Unlock()
	e.log.Warn("an endpoint is paused for all customers", append([]any{"endpoint", o.key, "reason", h.reason.String(),
		"error", h.message, "pause", h.until.Sub(now).Round(time.Second)}, said(err)...)...)
	e.writeOutlet(o)
	return &outletError{h}
}

// freeOutlet notes that o has answered, and returns the hold that this ends; nil for none.
func (e *Engine) freeOutlet(o *outlet) *hold {
	o.mu.Lock()
	was := o.hold
	o.hold = nil
	o.mu.Unlock()
	if was != nil {
		o.limiter.widen()
		e.writeOutlet(o)
		e.codes.wake(o.key)
	}
	return was
}

// liftOutlets ends the holds of outlets of which ends says so, and lets whoever waits for them try
// again.
func (e *Engine) liftOutlets(ends func(*hold) bool) {
	e.outlets.mu.Lock()
	all := slices.Collect(maps.Values(e.outlets.all))
	e.outlets.mu.Unlock()
	for _, o := range all {
		o.mu.Lock()
		lifted := o.hold != nil && ends(o.hold)
		if lifted {
			o.hold = nil
		}
		o.mu.Unlock()
		if lifted {
			e.writeOutlet(o)
			e.codes.wake(o.key)
		}
	}
}

// writeOutlet writes the hold of o, or deletes its record.
func (e *Engine) writeOutlet(o *outlet) {
	end, _ := e.locks.take(context.Background(), o.key)
	defer end()
	o.mu.Lock()
	r := record.Record{Table: record.Holds, Key: o.key}
	if o.hold != nil {
		r = e.keepHold(o.key, o.hold)
	}
	o.mu.Unlock()
	if err := e.cfg.Store.Put(context.Background(), r); err != nil {
		e.log.Error("cannot write a hold: it holds for this run", "name", o.key, "error", err)
	}
}
