package fetchers

import (
	"context"
	"net/url"

	"tokend/fetchers/secret"
)

// ComponentToken fetches the component_access_token of a third-party platform with
// /cgi-bin/component/api_component_token. [Ask].Parent is the newest component_verify_ticket. Every
// call creates a new token, and the previous one stays valid for five minutes. A ticket that was
// rejected once stays invalid.
type ComponentToken struct {
	Client *Client
	AppID  string // the platform's component_appid
	Secret secret.Text
}

// Fetch makes one call.
func (f ComponentToken) Fetch(ctx context.Context, ask Ask) (Token, error) {
	return f.Client.token(ctx, call{
		path: "/cgi-bin/component/api_component_token",
		body: struct {
			AppID  string `json:"component_appid"`
			Secret string `json:"component_appsecret"`
			Ticket string `json:"component_verify_ticket"`
		}{f.AppID, string(f.Secret), string(ask.Parent)},
		own:   f.Secret,
		with:  []secret.Text{ask.Parent},
		field: "component_access_token",
	})
}

// PreAuthCode fetches a pre_auth_code, which starts one authorization, with
// /cgi-bin/component/api_create_preauthcode. [Ask].Parent is the component_access_token. The code
// must not be cached, because each authorization needs its own.
type PreAuthCode struct {
	Client *Client
	AppID  string
}

// Fetch makes one call.
func (f PreAuthCode) Fetch(ctx context.Context, ask Ask) (Token, error) {
	return f.Client.token(ctx, componentCall("api_create_preauthcode", "pre_auth_code", ask.Parent, struct {
		AppID string `json:"component_appid"`
	}{f.AppID}))
}

// AuthorizerToken fetches the access_token of an account that has authorized a platform, with
// /cgi-bin/component/api_authorizer_token. [Ask].Parent is the component_access_token, and
// [Ask].Grant the account's refresh token. [Token].Grant is the refresh token in the answer,
// usually the same.
type AuthorizerToken struct {
	Client          *Client
	AppID           string
	AuthorizerAppID string
}

// Fetch makes one call.
func (f AuthorizerToken) Fetch(ctx context.Context, ask Ask) (Token, error) {
	q := componentCall("api_authorizer_token", "authorizer_access_token", ask.Parent, struct {
		AppID           string `json:"component_appid"`
		AuthorizerAppID string `json:"authorizer_appid"`
		RefreshToken    string `json:"authorizer_refresh_token"`
	}{f.AppID, f.AuthorizerAppID, string(ask.Grant)})
	q.with = append(q.with, ask.Grant)
	// The platform's staff recommend checking the list of customers before asking the customer.
	// 61023 (refresh token invalid) may mean that a replacement was lost. 61003 (not authorized)
	// has been returned for authorized accounts.
	q.special = map[int]Reaction{61003: GrantRefused, 61023: GrantRefused}
	return do(ctx, f.Client, q, func(o object) (Token, error) {
		t, err := q.token(o)
		if err != nil {
			return Token{}, err
		}
		t.Grant, err = o.valueIfAny("authorizer_refresh_token")
		if err != nil {
			return Token{}, err
		}
		return t, nil
	})
}

// StartPush asks WeChat to resume pushing component_verify_tickets, with
// /cgi-bin/component/api_start_push_ticket. The answer is the same whether the pushes had stopped
// or not, and does not contain a ticket.
type StartPush struct {
	Client *Client
	AppID  string
	Secret secret.Text
}

// Start makes one call. Its errors are those of Fetch.
func (s StartPush) Start(ctx context.Context) error {
	_, err := do(ctx, s.Client, call{
		path: "/cgi-bin/component/api_start_push_ticket",
		body: struct {
			AppID  string `json:"component_appid"`
			Secret string `json:"component_secret"` // component_appsecret at all other endpoints
		}{s.AppID, string(s.Secret)},
		own:    s.Secret,
		effect: repeats,
	}, func(o object) (struct{}, error) {
		// Only errcode 0 distinguishes a success from an intermediary's answer.
		_, err := o.count("errcode")
		return struct{}{}, err
	})
	return err
}

// componentCall returns a call with a component_access_token. Newer pages of the vendor call the
// parameter access_token. Both names work, and all SDKs send the older one.
func componentCall(name, field string, token secret.Text, body any) call {
	return call{
		path:  "/cgi-bin/component/" + name,
		query: url.Values{"component_access_token": {string(token)}},
		body:  body,
		with:  []secret.Text{token},
		child: true,
		field: field,
	}
}
