package cluster

import (
	"context"
	"slices"
	"sync"
	"time"

	"tokend/daemon/record"
)

// offers are a host's offers. The engine's flights add them, and run stores them in etcd.
type offers struct {
	host *Host

	mu     sync.Mutex
	all    []*offer // oldest first
	kicked chan struct{}
}

func newOffers(h *Host) *offers { return &offers{host: h, kicked: make(chan struct{}, 1)} }

// load takes over the offers of an earlier run.
func (o *offers) load() {
	for r, err := range o.host.cfg.Local.All(record.Offers) {
		var p *offer
		if err == nil {
			p, err = decodeOffer(r)
		}
		if err != nil {
			o.host.log.Error("an offer cannot be read: it is left where it is", "error", err)
			continue
		}
		if p.Name != "" {
			p.key = o.host.keys.of(record.Claims, p.Name)
		}
		o.add(p)
	}
}

// add makes run store p.
func (o *offers) add(p *offer) {
	o.mu.Lock()
	if !slices.Contains(o.all, p) {
		o.all = append(o.all, p)
	}
	o.mu.Unlock()
	o.kick()
}

// remove ends p.
func (o *offers) remove(p *offer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = slices.DeleteFunc(o.all, func(other *offer) bool { return other == p })
}

// pending reports whether there is an offer about a claim.
func (o *offers) pending(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.ContainsFunc(o.all, func(p *offer) bool { return p.key == key })
}

// knows reports whether there is an offer about the claim with a nonce.
func (o *offers) knows(nonce string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.ContainsFunc(o.all, func(p *offer) bool { return p.Nonce == nonce })
}

// count returns how many offers there are.
func (o *offers) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.all)
}

// kick makes run look at the offers.
func (o *offers) kick() {
	select {
	case o.kicked <- struct{}{}:
	default:
	}
}

// journal writes p to the host's own disk.
func (o *offers) journal(ctx context.Context, p *offer) error {
	return o.host.cfg.Local.Put(context.WithoutCancel(ctx), p.encode())
}

// doubt makes an answer that cannot land an offer of its grant, and leaves doubt: somebody has
// called since, before or after. It is on the host's disk before anything else happens.
func (o *offers) doubt(ctx context.Context, p *offer) {
	o.host.counts.doubts.Add(1)
	p.Kind, p.draft = offerDoubt, nil
	if err := o.journal(ctx, p); err != nil {
		o.host.log.Error("cannot write that an answer could not be stored", "name", p.Name, "error", err)
	}
	o.add(p)
}

// run stores the offers in etcd until ctx is done.
func (o *offers) run(ctx context.Context) error {
	select {
	case <-o.host.ready:
	case <-ctx.Done():
		return nil
	}
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	for {
		o.pass(ctx)
		timer.Reset(time.Second)
		select {
		case <-ctx.Done():
			return nil
		case <-o.kicked:
		case <-timer.C:
		}
	}
}

// flush stores what etcd accepts now.
func (o *offers) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*requestTimeout)
	defer cancel()
	o.pass(ctx)
}

// pass looks at each offer once, and releases the claims that no flight uses.
func (o *offers) pass(ctx context.Context) {
	o.mu.Lock()
	all := slices.Clone(o.all)
	o.mu.Unlock()
	for _, p := range all {
		if err := o.resolve(ctx, p, o.host.apply); err != nil && !Refused(err) {
			return // etcd is unreachable
		}
	}
	cs := o.host.claims
	for key, c := range cs.strays() {
		cs.free(ctx, key, c)
	}
	for f := cs.unused(o.host.cfg.Clock.Now()); f != nil; f = cs.unused(o.host.cfg.Clock.Now()) {
		if err := f.Give(ctx, false); err != nil {
			return
		}
	}
}

// copier takes over records of etcd on this host: [Host.apply], or [Store.copy] if the caller has
// their names locked.
type copier func(ctx context.Context, recs ...record.Record) error

// resolve makes the transaction of p once, unless somebody else is about to. p is over after it
// unless the outcome is unknown, or p has to wait. The error is that of the transaction.
func (o *offers) resolve(ctx context.Context, p *offer, take copier) error {
	o.mu.Lock()
	busy := p.busy
	p.busy = true
	o.mu.Unlock()
	if busy {
		return nil
	}
	return o.finish(ctx, p, take)
}

// finish is resolve after p was made busy.
func (o *offers) finish(ctx context.Context, p *offer, take copier) error {
	defer func() {
		o.mu.Lock()
		p.busy = false
		o.mu.Unlock()
	}()
	switch p.Kind {
	case offerGive:
		return o.give(ctx, p, take)
	case offerLanding:
		return o.land(ctx, p, take)
	case offerDoubt:
		return o.leave(ctx, p, take)
	}
	return o.put(ctx, p, take)
}
