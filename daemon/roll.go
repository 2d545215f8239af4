package daemon

import (
	"context"
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
		return r.tokens[child], nil
	}
	tokens := map[string]secret.Text{}
	for offset := 0; ; offset += rollPage {
		page, err := r.list.Page(ctx, parent, offset, rollPage)
		if err != nil {
			return "", err
		}
		for _, a := range page.Authorizers {
			tokens[a.AppID] = a.RefreshToken
		}
		if offset+rollPage >= page.Total || len(page.Authorizers) == 0 {
			break
		}
	}
	r.called, r.tokens = time.Now(), tokens
	return tokens[child], nil
}
