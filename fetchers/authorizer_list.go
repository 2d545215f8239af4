package fetchers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tokend/fetchers/secret"
)

// MaxPage is how many authorizers WeChat lists in one call (more: 40170).
const MaxPage = 500

// AuthorizerPage is one page of a platform's customers.
type AuthorizerPage struct {
	// Total is how many customers there are on all pages.
	Total int

	// Authorizers are those that could be read.
	Authorizers []ListedAuthorizer

	// Skipped says of each that could not what is wrong with it. The texts hold nothing of the
	// answer. Whoever is not found in a list with such entries may be one of them.
	Skipped []error
}

// Len is how many entries of the list the page had.
func (p AuthorizerPage) Len() int { return len(p.Authorizers) + len(p.Skipped) }

// ListedAuthorizer is one customer of a platform as WeChat lists it.
type ListedAuthorizer struct {
	// AppID is a valid segment of a credential name.
	AppID string

	// RefreshToken is empty for a customer whose code was never exchanged.
	RefreshToken secret.Text

	// AuthTime is when the customer authorized the platform; zero where WeChat does not
	// say, or says nothing that is a time.
	AuthTime time.Time
}

// AuthorizerList lists the accounts that have authorized a third-party platform, with
// their refresh tokens, by /cgi-bin/component/api_get_authorizer_list. It is the one place
// where a lost refresh token can be had again.
type AuthorizerList struct {
	Client *Client
	AppID  string // the platform's own
}

// Page makes one call, with the component_access_token as parent. It lists at most
// count authorizers, 1 to [MaxPage], from offset on.
func (l AuthorizerList) Page(ctx context.Context, parent secret.Text, offset, count int) (AuthorizerPage, error) {
	q := componentCall("api_get_authorizer_list", "", parent, struct {
		AppID  string `json:"component_appid"`
		Offset int    `json:"offset"`
		Count  int    `json:"count"`
	}{l.AppID, offset, count})
	q.effect = repeats
	if offset < 0 || count < 1 || count > MaxPage {
		return AuthorizerPage{}, &TransportError{Endpoint: q.path,
			Err: fmt.Errorf("a page has 1 to %d authorizers, from 0 on", MaxPage)}
	}
	return do(ctx, l.Client, q, authorizerPage)
}

// authorizerPage reads a page. One that is cut short is not read at all: whoever is not found in
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
