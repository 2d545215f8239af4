package refresh

import (
	"cmp"
	"iter"
	"slices"

	"tokend/daemon/clock"
)

// Quotas returns the budgets of the configured accounts, and WeCom's of faulty calls, sorted by
// account and word. Those of customers are not among them.
func (e *Engine) Quotas() (all []Quota) {
	w := e.Walk(e.base)
	defer w.Rest()
	for q := range w.Quotas(true) {
		all = append(all, *q)
	}
	slices.SortFunc(all, func(a, b Quota) int { return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Word, b.Word)) })
	return all
}

// Quotas yields the same, account by account. Spent is zero unless it is counted, which is most of
// the work.
func (w *Walk) Quotas(counted bool) iter.Seq[*Quota] {
	return func(yield func(*Quota) bool) {
		var (
			once once
			q    Quota
			key  []byte
		)
		one := func(b *budget, spec *Spec) bool {
			if !once.first(b, spec) {
				return true
			}
			q = Quota{Account: b.payer(spec), Word: b.word, Limit: b.limit, Window: b.window}
			if counted {
				key = b.appendKey(key[:0], spec)
				q.Spent = w.engine.ledger.total(key, w.now)
			}
			return yield(&q)
		}
		for spec := range w.catalog.Specs() {
			if !w.work.Step() {
				return
			}
			p := spec.Kind.policy()
			if p.wecom && !one(w.engine.wecom.faults, spec) {
				return
			}
			for _, some := range [...][]budget{spec.budgets(), p.forced} {
				for i := range some {
					if !one(&some[i], spec) {
						return
					}
				}
			}
		}
	}
}

// once tells which budgets have been met before in a walk through the specs of a catalog. It
// remembers those that several names of the owner it is at may share. Its zero value is ready.
type once struct {
	hosts  []string // words
	owner  string
	shared []payment // of owner
}

// payment is who pays for what.
type payment struct{ payer, word string }

// first reports whether what b counts of spec is met for the first time.
func (o *once) first(b *budget, spec *Spec) bool {
	payer := b.payer(spec)
	switch {
	case payer == spec.Name: // nobody else's
		return true
	case b.host:
		if slices.Contains(o.hosts, b.word) {
			return false
		}
		o.hosts = append(o.hosts, b.word)
		return true
	case o.owner != spec.Owner:
		o.owner, o.shared = spec.Owner, o.shared[:0]
	}
	if slices.Contains(o.shared, payment{payer, b.word}) {
		return false
	}
	o.shared = append(o.shared, payment{payer, b.word})
	return true
}

// total returns how many calls of the last window are counted under key.
func (l *ledger) total(key []byte, now clock.Instant) (n int) {
	l.mu.Lock()
	t := l.spent[string(key)]
	l.mu.Unlock()
	return t.live(now).calls()
}
