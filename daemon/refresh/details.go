package refresh

import (
	"context"
	"slices"

	"tokend/daemon/credential"
)

// Details returns the statuses of those names that the configuration gives, in the same order.
// Names of customers' credentials are left out. Details makes no entry and reads no disk. It takes
// some microseconds for each name.
func (e *Engine) Details(names []string) []credential.Status {
	catalog := *e.catalog.Load()
	all := make([]credential.Status, 0, len(names))
	work := e.cfg.Throttle.Begin(e.base)
	defer work.End()
	for _, name := range names {
		work.Pause()
		spec, err := catalog.Lookup(name)
		if err != nil || !ofConfiguration(&spec) {
			continue
		}
		en := e.index.get(name)
		if en == nil {
			en = e.newEntry(&spec) // not in the index, so that nothing finds it
		}
		en.mu.Lock()
		gone := en.gone() != nil
		s := e.statusLocked(en, &spec)
		en.mu.Unlock()
		if !gone { // removed by a reload just now
			all = append(all, s)
		}
	}
	return all
}

// ofConfiguration reports whether the configuration gives the credential of spec: it is not a
// customer's.
func ofConfiguration(spec *Spec) bool {
	return !spec.Policy.Grant && (!spec.Policy.Lapses || spec.Policy.Configured)
}

// Tickets returns the names of the configured tickets that WeChat pushes.
func (e *Engine) Tickets() []string { return (*e.catalog.Load()).Pushed() }

// Children returns the names of the configured credentials that are fetched with the credential
// name, in no order.
func (e *Engine) Children(ctx context.Context, name string) (all []string) {
	work := e.cfg.Throttle.Begin(ctx)
	defer work.End()
	for spec := range (*e.catalog.Load()).Specs() {
		if !work.Step() {
			return nil
		}
		if spec.Parent == name {
			all = append(all, spec.Name)
		}
	}
	return all
}

// Recent returns the last n refreshes of all configured credentials, newest first. It returns fewer
// if ctx ends.
func (e *Engine) Recent(ctx context.Context, n int) (last []credential.Event) {
	work := e.cfg.Throttle.Begin(ctx)
	defer work.End()
	older := func(a, b credential.Event) int { return b.At.Compare(a.At) }
	for en := range e.index.each {
		if !work.Step() {
			break
		}
		policy := en.policy()
		if policy.Lapses && !policy.Configured {
			continue
		}
		en.mu.Lock()
		var all []credential.Attempt
		if h := en.history; h.count() > 0 && en.gone() == nil &&
			(len(last) < n || h.attempts[len(h.attempts)-1].at > last[len(last)-1].At.UnixNano()) {
			all = h.newestFirst()
		}
		en.mu.Unlock()
		for _, a := range all {
			if len(last) == n && !a.At.After(last[n-1].At) {
				break
			}
			ev := credential.Event{Name: en.name, Attempt: a}
			at, _ := slices.BinarySearchFunc(last, ev, older)
			last = slices.Insert(last, at, ev)
			last = last[:min(n, len(last))]
		}
	}
	return last
}
