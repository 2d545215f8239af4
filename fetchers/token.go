package fetchers

import (
	"time"

	"tokend/fetchers/secret"
)

// MaxLife is the longest expires_in that is believed. WeChat documents at most
// 12 hours for anything it issues; more than 30 days is a fault upstream, and
// believing it would serve a dead value for ever.
const MaxLife = 30 * 24 * time.Hour

// Token is a credential as WeChat has just answered it.
type Token struct {
	// Value is the credential, never empty, without spaces or control
	// characters.
	Value secret.Text

	// ExpiresIn is how long it lives, counted from the moment before the
	// request was sent; in (0, MaxLife].
	ExpiresIn time.Duration

	// Grant is a grant that came with the token and replaces the one that it was asked
	// for with; empty where none came, which never means that there is none.
	Grant secret.Text
}

// Ask is what one fetch is asked for. The zero value asks for an ordinary
// fetch of a credential that has no parent.
type Ask struct {
	// Parent is the live value of the credential that the call is made with;
	// empty for a kind that has none.
	Parent secret.Text

	// Grant is the customer's refresh token or permanent code; empty for a kind
	// that has none.
	Grant secret.Text

	// Force asks for a new value where the endpoint would otherwise
	// repeat the current one (force_refresh of stable_token). Fetchers of
	// other endpoints ignore it: they have no such choice.
	Force bool
}
