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

// endpoint is an endpoint that all customers of an owner share: the exchange of codes, or the
// customer list. A quota is the owner's, so after a refusal one hold stops every code or page, in
// this run and the next.
type endpoint struct {
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

// endpointCalls is how many calls are in flight at most at one endpoint.
const endpointCalls = 8

// endpoints are those that were used, by key. Its zero value is ready.
type endpoints struct {
	mu  sync.Mutex
	all map[string]*endpoint
}

// of returns the endpoint with suffix of owner, which is configured.
func (os *endpoints) of(owner, suffix string) *endpoint {
	os.mu.Lock()
	defer os.mu.Unlock()
	key := owner + suffix
	o := os.all[key]
	if o == nil {
		if os.all == nil {
			os.all = map[string]*endpoint{}
		}
		o = &endpoint{key: key, limiter: newLimiter(endpointCalls, 1, undivided)}
		os.all[key] = o
	}
	return o
}

// holds reports whether the endpoint called key holds calls up, or did so last.
func (os *endpoints) holds(key string) bool {
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
func (o *endpoint) paused(settings string, now clock.Instant, urgent bool) *hold {
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

// probeEvery is how often an endpoint is asked in a hold, on behalf of codes whose time is running
// out.
const probeEvery = time.Minute

// unprobe forgets that o was asked in a hold: no answer has come.
func (o *endpoint) unprobe() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.probed = 0
}

// endpointOwner returns the owner of an endpoint by its key; "" where key is a credential's name.
func endpointOwner(key string) string {
	owner, _, _ := strings.Cut(key, "#")
	if owner == key {
		return ""
	}
	return owner
}

// loadEndpoint takes over the hold of an endpoint, and reports whether its record is unused. That
// of an address does not outlive a run.
func (e *Engine) loadEndpoint(h record.Hold) (unused bool) {
	owner := endpointOwner(h.Name)
	if _, err := (*e.catalog.Load()).Onboarding(owner); err != nil || fetchers.Reaction(h.Cause) == fetchers.AddressRefused {
		return true
	}
	e.endpoints.of(owner, h.Name[len(owner):]).hold = e.keptHold(h)
	return false
}

// through does what asks o with the value of the parent of onboarding, unless o is held. After a
// stop of the engine no call begins. urgent: later will be too late, so that it may be asked in a
// hold too, once in a while.
func (e *Engine) through(ctx context.Context, o *endpoint, onboarding *Onboarding, urgent bool, do func(ctx context.Context, parent secret.Text) error) error {
	w := &wants{parent: onboarding.Parent, tries: quickTries, life: day, spread: spreadOf(o.key)}
	return e.ask(ctx, w, func(parent secret.Text) error {
		round, err := o.limiter.enter(ctx, nil, awaited)
		if err != nil {
			return err
		}
		crowded := false
		defer func() { o.limiter.leave(e.clock.Now(), nil, round, crowded) }()
		if h := o.paused(e.settings(onboarding.Parent), e.clock.Now(), urgent); h != nil {
			return &endpointError{h}
		}
		host := e.hostOf(onboarding.Parent)
		err = e.slot(ctx, host, endpointOwner(o.key), awaited, false, func(ctx context.Context) error {
			if err := e.alive(onboarding.Parent, parent); err != nil {
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
			return e.holdEndpoint(o, onboarding.Parent, err)
		case err == nil, refused && api.Reaction == fetchers.CodeRefused:
			e.succeeded(host, e.freeEndpoint(o))
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

// holdEndpoint remembers that o has failed with err, and returns it as the hold's. Of calls that
// fail together the first one counts.
func (e *Engine) holdEndpoint(o *endpoint, parent string, err error) error {
	now, settings := e.clock.Now(), e.settings(parent)
	o.mu.Lock()
	h, failures, quotas := o.hold, 1, 0
	if h != nil && h.settings == settings {
		if now < h.until {
			o.mu.Unlock()
			return &endpointError{h}
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
	e.writeEndpoint(o)
	return &endpointError{h}
}

// freeEndpoint notes that o has answered, and returns the hold that this ends; nil for none.
func (e *Engine) freeEndpoint(o *endpoint) *hold {
	o.mu.Lock()
	was := o.hold
	o.hold = nil
	o.mu.Unlock()
	if was != nil {
		o.limiter.widen()
		e.writeEndpoint(o)
		e.codes.wake(o.key)
	}
	return was
}

// liftEndpoints ends the holds of endpoints for which ends returns true, and wakes the codes that
// wait for them.
func (e *Engine) liftEndpoints(ends func(*hold) bool) {
	e.endpoints.mu.Lock()
	all := slices.Collect(maps.Values(e.endpoints.all))
	e.endpoints.mu.Unlock()
	for _, o := range all {
		o.mu.Lock()
		lifted := o.hold != nil && ends(o.hold)
		if lifted {
			o.hold = nil
		}
		o.mu.Unlock()
		if lifted {
			e.writeEndpoint(o)
			e.codes.wake(o.key)
		}
	}
}

// writeEndpoint writes the hold of o, or deletes its record.
func (e *Engine) writeEndpoint(o *endpoint) {
	for round := 1; ; round++ {
		err := e.writeEndpointOnce(o)
		if err == nil || !e.renewed(err, round) {
			if err != nil && !errors.Is(err, ErrUnconfirmed) {
				e.log.Error("cannot write a hold: it holds for this run", "name", o.key, "error", err)
			}
			return
		}
	}
}

func (e *Engine) writeEndpointOnce(o *endpoint) error {
	end, _ := e.locks.lock(context.Background(), o.key)
	defer end()
	o.mu.Lock()
	r := record.Record{Table: record.Holds, Key: o.key}
	own := o.hold != nil && o.hold.local()
	if o.hold != nil {
		r = e.keepHold(o.key, o.hold)
	}
	o.mu.Unlock()
	if own && e.cfg.Peers != nil {
		return nil // no matter of the other hosts
	}
	return e.cfg.Store.Put(context.Background(), r)
}

// followEndpoint puts the stored hold r of an endpoint in force, if it is of the settings in force,
// unless a hold of this host's own lasts longer.
func (e *Engine) followEndpoint(r record.Record) error {
	owner := endpointOwner(r.Key)
	onboarding, err := (*e.catalog.Load()).Onboarding(owner)
	if err != nil {
		return nil // of an owner that other hosts have
	}
	var h *hold
	if r.Value != nil {
		stored, err := record.DecodeHold(r)
		if err != nil || stored.Settings != e.settings(onboarding.Parent) {
			return err // or of a host with another secret
		}
		if h = e.keptHold(stored); h.local() {
			return nil
		}
	}
	o := e.endpoints.of(owner, r.Key[len(owner):])
	o.mu.Lock()
	was := o.hold
	if was == nil || !was.local() || h != nil && h.until > was.until {
		o.hold = h
	}
	freed := was != nil && o.hold == nil
	o.mu.Unlock()
	if freed {
		e.codes.wake(o.key)
	}
	return nil
}
