package refresh

import (
	"cmp"
	"iter"
	"slices"
	"tokend/daemon/quota"
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
		one := func(b *quota.Budget, spec *Spec) bool {
			if !once.first(b, spec) {
				return true
			}
			q = Quota{Account: payer(b, spec), Word: b.Word, Limit: b.Limit, Window: b.Window}
			if counted {
				key = b.AppendKey(key[:0], payer(b, spec))
				q.Spent = w.engine.ledger.Total(key, w.now)
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
			for _, some := range [...][]quota.Budget{spec.budgets(), p.forced} {
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
func (o *once) first(b *quota.Budget, spec *Spec) bool {
	whose := payer(b, spec)
	switch {
	case whose == spec.Name: // nobody else's
		return true
	case b.Scope == quota.PerHost:
		if slices.Contains(o.hosts, b.Word) {
			return false
		}
		o.hosts = append(o.hosts, b.Word)
		return true
	case o.owner != spec.Owner:
		o.owner, o.shared = spec.Owner, o.shared[:0]
	}
	if slices.Contains(o.shared, payment{whose, b.Word}) {
		return false
	}
	o.shared = append(o.shared, payment{whose, b.Word})
	return true
}
