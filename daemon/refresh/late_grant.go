package refresh

import (
	"context"
	"slices"

	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// The grant of a late answer, which could not be stored when it came, is behind the one in force.
// It is tried if WeChat refuses that one, and put in force if it works. WeChat may refuse all for a
// while: then everything stays as it is, and the next flight tries all again.

// tryLate chooses the grant of the next call, since WeChat has refused that of the last one: the
// newest of a late answer that was not tried. It reports false if there is none. A grant that has
// been put in force since is tried first.
func (x *fetch) tryLate() bool {
	grant, err := x.engine.live(x.spec.Grant)
	if err != nil {
		return false
	}
	if grant.Value != x.refused {
		x.refused, x.tried = grant.Value, nil
		if x.grant != grant.Value {
			x.grant = grant.Value
			return true
		}
	}
	i := x.newestLate(&grant)
	if i < 0 {
		return false
	}
	x.grant = grant.Earlier[i].Value
	x.tried = append(x.tried, x.grant)
	return true
}

// newestLate returns the index of the newest of g's earlier generations that came with a late
// answer and that x has not tried; less than zero if there is none.
func (x *fetch) newestLate(g *record.Grant) int {
	return slices.IndexFunc(g.Earlier, func(v record.Generation) bool {
		return v.Source == fromOffer && v.Value != g.Value && !slices.Contains(x.tried, v.Value)
	})
}

// grantFor returns the grant to call with if inForce is in force.
func (x *fetch) grantFor(inForce secret.Text) secret.Text {
	if n := len(x.tried); n > 0 && inForce == x.refused {
		return x.tried[n-1]
	}
	return inForce
}

// putLateInForce puts the grant of a late answer in force that the call was made with, or what
// WeChat has replaced it by, in place of the refused grant. What the call brought is stored by now,
// so a crash before this loses nothing: the next flight tries them again.
func (x *fetch) putLateInForce() {
	n := len(x.tried)
	if n == 0 || x.got.grant != x.tried[n-1] {
		return
	}
	e, name, late, next := x.engine, x.spec.Grant, x.got.grant, x.got.next
	refused, tried := x.refused, x.tried // x itself stays on the stack
	a := &amendment{grant: name, frees: true, then: func() {}}
	a.apply = func(g *record.Grant) bool {
		if !g.Live() || g.Value != refused || !knows(g, next) {
			return false
		}
		g.Earlier = slices.Clone(g.Earlier)
		for i := range g.Earlier {
			if v := &g.Earlier[i]; slices.Contains(tried, v.Value) {
				v.Source = fromAnswer
			}
		}
		taken := g.Recall(late, fromAnswer)
		return next != "" && g.Recall(next, fromRotation) || taken
	}
	if err := e.amend(context.Background(), a); err != nil {
		e.log.Error("cannot put the grant of a late answer in force in place of a refused one: it is tried again with the next call", "name", name, "error", err)
	} else if a.applies {
		e.log.Warn("a refused grant was replaced by the grant of a late answer", "name", name)
	}
}
