package credential

import (
	"context"
	"time"

	"tokend/fetchers/secret"
)

// Value is a credential's value as a reader gets it.
type Value struct {
	Text secret.Text

	// TTL is how long the value is still valid; always positive.
	TTL time.Duration

	// Readers counts the reads of the credential. It is nil without a Text, and if the credential
	// has just been removed.
	Readers *Readers
}

// Deposit is a value to be stored under a name: a pushed ticket, valid from now, or a grant.
type Deposit struct {
	Name  string
	Value secret.Text
}

// ImportPage is the result of importing one page of a platform's customers.
type ImportPage struct {
	Total int // customers that WeChat lists
	Kept  int // grants of this page that were new or changed
	Next  int // the offset of the next page; zero when this was the last page
}

type userKey struct{}

// WithUser returns a context whose requests are made for user. Waiting users are served round
// robin, and no user may spend a quota that all share. The engine only compares user to others. A
// context without one counts as that of the user nil, who may spend all of it.
func WithUser(ctx context.Context, user any) context.Context {
	return context.WithValue(ctx, userKey{}, user)
}

// UserOf returns the user of ctx's request.
func UserOf(ctx context.Context) any { return ctx.Value(userKey{}) }
