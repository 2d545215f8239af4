package fetchers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tokend/fetchers/secret"
)

// MaxPage is the largest number of authorizers that WeChat lists in one call (beyond it: 40170).
const MaxPage = 500

// AuthorizerPage is one page of a platform's customers.
type AuthorizerPage struct {
	// Total is the number of customers on all pages.
	Total int

	// Authorizers are the readable entries.
	Authorizers []ListedAuthorizer

	// Skipped has an error for each unreadable entry. The errors contain nothing of the answer. A
	// customer that is missing in a list with such entries may be one of them.
	Skipped []error
}

// Len is the number of entries in the page.
func (p AuthorizerPage) Len() int { return len(p.Authorizers) + len(p.Skipped) }

// ListedAuthorizer is one customer of a platform as WeChat lists it.
type ListedAuthorizer struct {
	// AppID is a valid segment of a credential name.
	AppID string

	// RefreshToken is empty for a customer whose code was never exchanged.
	RefreshToken secret.Text

	// AuthTime is when the customer authorized the platform. It is zero if WeChat's answer has no
	// valid time.
	AuthTime time.Time
}

// AuthorizerList lists the accounts that have authorized a third-party platform, with their refresh
// tokens, using /cgi-bin/component/api_get_authorizer_list. No other endpoint returns a lost
// refresh token.
type AuthorizerList struct {
	Client *Client
	AppID  string // the platform's appid
}

// Page makes one call, with the component_access_token as parent. It lists at most count
// authorizers, 1 to [MaxPage], starting at offset.
func (l AuthorizerList) Page(ctx context.Context, parent secret.Text, offset, count int) (AuthorizerPage, error) {
	q := componentCall("api_get_authorizer_list", "", parent, struct {
		AppID  string `json:"component_appid"`
		Offset int    `json:"offset"`
		Count  int    `json:"count"`
	}{l.AppID, offset, count})
	q.effect = repeats
	if offset < 0 || count < 1 || count > MaxPage {
		return AuthorizerPage{}, &TransportError{Endpoint: q.path,
			Err: fmt.Errorf("a page has 1 to %d authorizers and an offset of at least 0", MaxPage)}
	}
	return do(ctx, l.Client, q, authorizerPage)
}

// authorizerPage reads a page. A truncated page is rejected, because a customer that is missing in
// the list counts as having left.
func authorizerPage(o object) (AuthorizerPage, error) {
	total, err := o.count("total_count")
	if err != nil {
		return AuthorizerPage{}, err
	}
	page := AuthorizerPage{Total: int(total)}
	if !o.has("list") {
		if total > 0 {
			return AuthorizerPage{}, errors.New("the answer has no list")
		}
		return page, nil
	}
	list, closed := cutElements(o.last("list"))
	if !closed {
		return AuthorizerPage{}, errors.New("list is not a list")
	}
	page.Authorizers = make([]ListedAuthorizer, 0, len(list))
	for i, raw := range list {
		a, err := listedAuthorizer(raw)
		if err != nil {
			page.Skipped = append(page.Skipped, fmt.Errorf("in list[%d]: %w", i, err))
			continue
		}
		page.Authorizers = append(page.Authorizers, a)
	}
	return page, nil
}

func listedAuthorizer(raw []byte) (a ListedAuthorizer, err error) {
	o, err := parseObject(raw)
	if err == nil && !o.whole {
		err = errBroken
	}
	if err != nil {
		return a, err
	}
	if a.AppID, err = o.id("authorizer_appid"); err != nil {
		return a, err
	}
	if a.RefreshToken, err = o.valueIfAny("refresh_token"); err != nil {
		return a, err
	}
	if seconds, err := o.count("auth_time"); err == nil && seconds > 0 {
		a.AuthTime = time.Unix(seconds, 0)
	}
	return a, nil
}
