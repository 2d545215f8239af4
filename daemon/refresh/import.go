package refresh

import (
	"context"
	"errors"
	"time"

	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// importPage is how many customers are asked for at once: the most that WeChat gives.
const importPage = 500

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
	var page fetchers.AuthorizerPage
	w := &wants{parent: way.Parent, tries: quickTries, life: day, spread: spread(owner)}
	err = e.ask(ctx, w, func(parent secret.Text) error {
		return e.slot(ctx, e.host(&policies[0], way.Parent), awaited, false, func(ctx context.Context) (err error) {
			if err := e.alive(way.Parent, parent); err != nil {
				return err
			}
			page, err = way.Lister.Page(ctx, parent, offset, importPage)
			return err
		})
	})
	if err != nil {
		return ImportPage{}, e.importError(err)
	}
	p := ImportPage{Total: page.Total}
	var gifts []gift
	now := time.Now()
	for _, a := range page.Authorizers {
		if a.RefreshToken == "" {
			continue // its code was never exchanged: there is nothing to keep
		}
		gifts = append(gifts, gift{way.Grant(a.AppID), record.Generation{Value: a.RefreshToken, At: now, Source: fromList}})
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
	now := e.clock.Now()
	return failed(err, 1, 0, false, 0, now, time.Now()).err(now)
}
