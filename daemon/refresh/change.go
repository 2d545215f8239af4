package refresh

import (
	"context"
	"slices"

	"tokend/daemon/record"
)

// change is one thing that changes what stands under names, on disk and in memory: a grant that is
// given or taken back, a ticket that is pushed. It is carried out once, and its methods are called
// in this order, in the turns of its names.
type change interface {
	// names appends the names whose turns it takes.
	names(to []string) []string

	// needs returns the name of the grant that prepare is to be told of; "" for none.
	needs() string

	// prepare returns what is to be written, nothing if that is on disk already. After an error
	// there is nothing more to be done.
	prepare(standing) ([]record.Record, error)

	// settle makes visible what is durable, or does what is to be done where it is not: refused
	// says why. It returns how the change has ended.
	settle(refused error) error
}

// namesOf is how many names most changes take: those of a grant and of what lives by it.
const namesOf = 4

// carryOut carries out changes: what they write, they write at once, and it is durable before it is
// visible. Nobody else changes what stands under their names meanwhile. It returns how each has
// ended: what is wrong with the one is no matter of the others.
func (e *Engine) carryOut(ctx context.Context, all ...change) []error {
	errs := make([]error, len(all))
	names := make([]string, 0, namesOf*len(all))
	for _, c := range all {
		names = c.names(names)
	}
	end, err := e.turns.take(ctx, names...)
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	defer end()
	needs := make([]string, len(all))
	for i, c := range all {
		needs[i] = c.needs()
	}
	parts := make([][]record.Record, len(all))
	for i, s := range e.grants.stand(needs) {
		parts[i], errs[i] = all[i].prepare(s)
	}
	refused := e.write(ctx, slices.Concat(parts...))
	for i, c := range all {
		if errs[i] != nil {
			continue
		}
		why := refused
		if why != nil && (len(parts[i]) == 0 || len(all) > 1 && ctx.Err() == nil) {
			why = e.write(ctx, parts[i]) // it may have been another's fault: too much for one commit, say
		}
		errs[i] = c.settle(why)
	}
	return errs
}

// write writes recs, if there are any.
func (e *Engine) write(ctx context.Context, recs []record.Record) error {
	if len(recs) == 0 {
		return nil
	}
	return e.cfg.Store.Put(ctx, recs...)
}
