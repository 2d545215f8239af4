package fetchers

import (
	"time"

	"tokend/fetchers/secret"
)

// MaxLife is the longest plausible expires_in. WeChat documents at most 12 hours. More than 30 days
// is a fault upstream, and accepting it would serve a dead value forever.
const MaxLife = 30 * 24 * time.Hour

// Token is a credential as returned by WeChat.
type Token struct {
	// Value is the credential. It is never empty and has no spaces or control characters.
	Value secret.Text

	// ExpiresIn is the lifetime, counted from the moment before the request was sent, in (0,
	// MaxLife].
	ExpiresIn time.Duration

	// Grant is a grant in the answer that replaces the one in the request. It is empty if the
	// answer has none, which never means that the grant is gone.
	Grant secret.Text
}

// Ask is the input of one fetch. The zero value is for an ordinary fetch of a credential without a
// parent.
type Ask struct {
	// Parent is the valid value of the credential that the call is made with. It is empty for kinds
	// without one.
	Parent secret.Text

	// Grant is the customer's refresh token or permanent code. It is empty for kinds without one.
	Grant secret.Text

	// Force requests a new value where the endpoint would repeat the current one (force_refresh of
	// stable_token). Fetchers of other endpoints ignore it.
	Force bool
}
