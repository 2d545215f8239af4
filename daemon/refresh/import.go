package refresh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tokend/daemon/record"
	"tokend/fetchers"
)

// emptyPause is how long to wait before an empty page in the middle of a list is asked for again.
const emptyPause = time.Second

// Import brings in one page of owner's customers as WeChat lists them. It asks with the owner's own
// credential and makes one call, a few where WeChat answers an empty page. A grant that has changed
// while the page was read stays. The last page is an error if the customers of all pages are fewer
// than WeChat counts.
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
	changed, end := e.grants.watch()
	defer end()
	asked := time.Now()
	page, err := e.importPage(ctx, owner, &way, offset)
	if err != nil {
		return ImportPage{}, e.importError(err)
	}
	p := ImportPage{Total: page.Total}
	var gifts []gift
	for _, a := range page.Authorizers {
		if a.RefreshToken == "" {
			continue // its code was never exchanged: there is nothing to keep
		}
		gifts = append(gifts, gift{way.Grant(a.AppID), record.Generation{Value: a.RefreshToken, At: asked, Source: fromList}, changed})
	}
	kept := 0
	err = e.outlast(ctx, func() (err error) {
		kept, err = e.giveAll(ctx, gifts)
		return err
	})
	if err != nil {
		return p, err
	}
	p.Kept = kept
	var seen, missing int
	if p.Next, seen, missing = e.walks.note(owner, offset, page); missing > 0 {
		return p, &Error{Reason: Unreachable, RetryAfter: listFresh,
			Message: fmt.Sprintf("%d of %d customers are missing: WeChat has listed %d", missing, page.Total, seen)}
	}
	return p, nil
}

// importPage returns the page at offset. An empty one before the end of the list is asked for
// again.
func (e *Engine) importPage(ctx context.Context, owner string, way *Onboarding, offset int) (page fetchers.AuthorizerPage, err error) {
	o := e.outlets.of(owner, listings)
	for idle := 1; ; idle++ {
		page, err = e.readPage(ctx, o, way, offset)
		if err != nil || page.Len() > 0 || offset >= page.Total || idle == idlePages {
			return page, err
		}
		if !e.pause(ctx, emptyPause) {
			return page, ctx.Err()
		}
	}
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
