package daemon

import (
	"context"
	"fmt"
	"time"

	"tokend/daemon/refresh"
	"tokend/fetchers/secret"
)

// rollFresh is how long a roll that has been called serves those who look a customer up. When
// many grants are refused at once, one call of the roll serves them all: a
// platform of 100 000 customers has 200 pages.
const rollFresh = time.Minute

// rollPage is how many customers a page has: the most that WeChat gives.
const rollPage = 500

// roll is WeChat's list of a platform's customers, as the last resort for a lost refresh
// token.
type roll struct {
	list refresh.Lister

	turn   chan struct{} // holds a token while nobody reads or writes what follows
	called time.Time
	tokens map[string]secret.Text

	// skipped is how many entries could not be read: each may be of any customer that is not in tokens.
	skipped int
}

func newRoll(list refresh.Lister) *roll {
	r := &roll{list: list, turn: make(chan struct{}, 1)}
	r.turn <- struct{}{}
	return r
}

// find returns the refresh token that WeChat lists for child; empty where it lists none. Its
// errors are those of a fetcher.
func (r *roll) find(ctx context.Context, parent secret.Text, child string) (secret.Text, error) {
	select {
	case <-r.turn:
		defer func() { r.turn <- struct{}{} }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if time.Since(r.called) < rollFresh {
		return r.listed(child)
	}
	tokens, skipped := map[string]secret.Text{}, 0
	for offset := 0; ; offset += rollPage {
		page, err := r.list.Page(ctx, parent, offset, rollPage)
		if err != nil {
			return "", err
		}
		for _, a := range page.Authorizers {
			tokens[a.AppID] = a.RefreshToken
		}
		skipped += len(page.Skipped)
		if offset+rollPage >= page.Total || page.Len() == 0 {
			break
		}
	}
	r.called, r.tokens, r.skipped = time.Now(), tokens, skipped
	return r.listed(child)
}

// listed returns the refresh token of child on the roll. Whoever is not on a roll with malformed
// entries has not left for certain.
func (r *roll) listed(child string) (secret.Text, error) {
	token, found := r.tokens[child]
	if !found && r.skipped > 0 {
		return "", fmt.Errorf("the customer is not listed, and %d entries of WeChat's list are malformed", r.skipped)
	}
	return token, nil
}
