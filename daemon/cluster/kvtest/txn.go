package kvtest

import (
	"slices"

	"tokend/daemon/cluster"
)

// txn applies t as etcd does: what it refuses has no effect.
func (e *Etcd) txn(t cluster.Txn) (cluster.Outcome, error) {
	if err := e.admit(t); err != nil {
		return cluster.Outcome{}, err
	}
	held, ops := true, t.Then
	for _, c := range t.If {
		held = held && e.space.holds(c)
	}
	if !held {
		ops = t.Else
	}
	for _, op := range ops {
		if op.Verb == cluster.Put && op.Lease != 0 && e.leases[op.Lease] == nil {
			return cluster.Outcome{}, cluster.ErrNoLease
		}
	}
	before := e.space.revision
	got := e.space.apply(ops)
	if e.space.revision != before {
		e.wake()
	}
	return cluster.Outcome{Header: e.header(), Held: held, Got: got}, nil
}

// admit checks what does not depend on the keys.
func (e *Etcd) admit(t cluster.Txn) error {
	if max(len(t.If), len(t.Then), len(t.Else)) > cluster.MaxOps {
		return cluster.ErrTooManyOps
	}
	size, puts, changes := 0, false, false
	for _, c := range t.If {
		size += len(c.Key) + opOverhead
	}
	for _, ops := range [][]cluster.Op{t.Then, t.Else} {
		verbs := make(map[string][]cluster.Verb)
		for _, op := range ops {
			size += len(op.Key) + len(op.Value) + opOverhead
			puts = puts || op.Verb == cluster.Put
			changes = changes || op.Verb != cluster.Get
			verbs[op.Key] = append(verbs[op.Key], op.Verb)
		}
		for _, v := range verbs {
			v = slices.DeleteFunc(v, func(v cluster.Verb) bool { return v == cluster.Get })
			if len(v) > 1 && slices.Contains(v, cluster.Put) { // deletions may repeat
				return cluster.ErrDuplicateKey
			}
		}
	}
	switch {
	case changes && size > maxRequest: // reads are not sent to the other members
		return cluster.ErrTooLarge
	case puts && e.full:
		return cluster.ErrNoSpace
	}
	return nil
}
