package refresh

import (
	"context"
	"slices"
	"time"

	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// Put stores what is handed in under name. It is durable when Put returns nil. Its error is an
// *Error where the name does not take what is handed in.
func (e *Engine) Put(ctx context.Context, name string, value secret.Text) error {
	return e.PutAll(ctx, []Deposit{{Name: name, Value: value}})[0]
}

// PutAll is Put for each of all, in their order where they are of one name: what can be, is written
// at once, so that many cost the disk little more than one. The error at i is that of all[i]; what
// is wrong with one is no matter of the others.
func (e *Engine) PutAll(ctx context.Context, all []Deposit) []error {
	errs := make([]error, len(all))
	takes := make([]change, len(all))
	left := make([]int, 0, len(all))
	at := time.Now()
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
func (e *Engine) takes(d Deposit, at time.Time) (change, error) {
	spec, err := e.lookup(d.Name)
	if err != nil {
		return nil, err
	}
	switch p := spec.Kind.policy(); {
	case p.pushed > 0:
		return e.puts(d.Name, d.Value), nil
	case p.grant:
		a := e.gives(gift{name: d.Name, next: record.Generation{Value: d.Value, At: at, Source: fromPut}})
		a.engine = e
		return a, nil
	}
	return nil, &Error{Reason: Unfit, RetryAfter: Never, Message: d.Name + " is fetched from WeChat: only pushed tickets and grants can be put"}
}

// putSome carries out those of takes that left tells, giveBatch at most and none of them of the
// same name as another, and returns which are left.
func (e *Engine) putSome(ctx context.Context, all []Deposit, takes []change, left []int, errs []error) (still []int) {
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
