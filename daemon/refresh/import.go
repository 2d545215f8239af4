package refresh

import (
	"context"
	"errors"
	"time"

	"tokend/daemon/record"
)

// Import brings in one page of owner's customers as WeChat lists them. It asks with the
// owner's own credential and makes one call.
func (e *Engine) Import(ctx context.Context, owner string, offset int) (ImportPage, error) {
	if err := e.ready(ctx); err != nil {
		return ImportPage{}, err
	}
	way, err := (*e.catalog.Load()).Onboarding(owner)
	if err != nil {
		return ImportPage{}, err
	}
	if way.Lister == nil {
		return ImportPage{}, &Error{Reason: Unfit, RetryAfter: Never, Message: "WeChat has no list of the customers of " + owner}
	}
	ctx, end := e.untilStop(ctx)
	defer end()
	asked := time.Now()
	page, err := e.readPage(ctx, e.outlets.of(owner, listings), &way, offset)
	if err != nil {
		return ImportPage{}, e.importError(err)
	}
	p := ImportPage{Total: page.Total}
	var gifts []gift
	for _, a := range page.Authorizers {
		if a.RefreshToken == "" {
			continue // its code was never exchanged: there is nothing to keep
		}
		gifts = append(gifts, gift{way.Grant(a.AppID), record.Generation{Value: a.RefreshToken, At: asked, Source: fromList}})
	}
	if p.Kept, err = e.giveAll(ctx, gifts); err != nil {
		return p, err
	}
	if n := offset + page.Len(); page.Len() > 0 && n < page.Total {
		p.Next = n
	}
	return p, nil
}

// importError returns err, which ended a call for a page, as an *Error.
func (e *Engine) importError(err error) error {
	if of, ok := errors.AsType[*Error](err); ok {
		return of
	}
	if g, ok := errors.AsType[*guardError](err); ok {
		return g.reply
	}
	if e.base.Err() != nil {
		return stopping()
	}
	now := e.clock.Now()
	if oe, ok := errors.AsType[*outletError](err); ok {
		return oe.hold.err(now)
	}
	return failed(err, 1, 0, false, 0, now).err(now)
}
