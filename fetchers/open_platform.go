package fetchers

import (
	"context"
	"net/url"

	"tokend/fetchers/secret"
)

// ComponentToken fetches the component_access_token of a third-party platform by
// /cgi-bin/component/api_component_token, with the newest component_verify_ticket as
// [Ask].Parent. Every call makes a new token, and the one before it lives five more
// minutes. A ticket that is refused once stays refused.
type ComponentToken struct {
	Client *Client
	AppID  string // the platform's own, component_appid
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

// PreAuthCode fetches a pre_auth_code, which begins one authorization, by
// /cgi-bin/component/api_create_preauthcode, with the component_access_token as
// [Ask].Parent. It is nothing to keep: the next authorization needs another.
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

// AuthorizerToken fetches the access_token of an account that has authorized a
// platform, by /cgi-bin/component/api_authorizer_token, with the component_access_token
// as [Ask].Parent and the account's refresh token as [Ask].Grant. [Token].Grant is the
// refresh token that came back, most often the same.
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
	// The platform's staff advise each time to look into the list before the
	// customer is troubled: 61023 (refresh token invalid) may be a
	// replacement that was lost, and 61003 (not authorized) was seen for accounts that are.
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

// StartPush asks WeChat to push component_verify_tickets again, by
// /cgi-bin/component/api_start_push_ticket. It is answered alike whether the pushes had
// stopped or not, and brings no ticket by itself.
type StartPush struct {
	Client *Client
	AppID  string
	Secret secret.Text
}

// Start makes one call. Its errors are those of a fetch.
func (s StartPush) Start(ctx context.Context) error {
	_, err := do(ctx, s.Client, call{
		path: "/cgi-bin/component/api_start_push_ticket",
		body: struct {
			AppID  string `json:"component_appid"`
			Secret string `json:"component_secret"` // component_appsecret everywhere else
		}{s.AppID, string(s.Secret)},
		own:    s.Secret,
		effect: repeats,
	}, func(o object) (struct{}, error) {
		// Nothing but errcode 0 tells success from an answer of someone else.
		_, err := o.count("errcode")
		return struct{}{}, err
	})
	return err
}

// componentCall is a call that is made with a component_access_token. Newer pages of the
// vendor's call the parameter access_token; both are taken, and the older is what
// every SDK sends.
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
