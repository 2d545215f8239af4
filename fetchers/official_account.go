package fetchers

import (
	"context"
	"net/url"

	"tokend/fetchers/secret"
)

// StableToken fetches the access_token of an official account or a mini program with
// /cgi-bin/stable_token. A repeated call returns the same token with its remaining lifetime, and
// the next token in its last five minutes. It is safe to repeat. [Ask].Force requests a new token
// at once, which WeChat allows 20 times a day and 30 s apart.
type StableToken struct {
	Client *Client
	AppID  string
	Secret secret.Text
}

// Fetch makes one call.
func (f StableToken) Fetch(ctx context.Context, ask Ask) (Token, error) {
	again := repeats
	if ask.Force {
		again = replaces
	}
	return f.Client.token(ctx, call{
		path: "/cgi-bin/stable_token",
		body: struct {
			GrantType    string `json:"grant_type"`
			AppID        string `json:"appid"`
			Secret       string `json:"secret"`
			ForceRefresh bool   `json:"force_refresh"`
		}{"client_credential", f.AppID, string(f.Secret), ask.Force},
		own:    f.Secret,
		effect: again,
		field:  "access_token",
	})
}

// AccessToken fetches the access_token of an official account or a mini program with
// /cgi-bin/token. Every call creates a new token, and the previous one stays valid for five
// minutes. These tokens and those of [StableToken] are independent.
type AccessToken struct {
	Client *Client
	AppID  string
	Secret secret.Text
}

// Fetch makes one call.
func (f AccessToken) Fetch(ctx context.Context, _ Ask) (Token, error) {
	return f.Client.token(ctx, call{
		path: "/cgi-bin/token",
		query: url.Values{
			"grant_type": {"client_credential"},
			"appid":      {f.AppID},
			"secret":     {string(f.Secret)},
		},
		own:   f.Secret,
		field: "access_token",
	})
}

// TicketType selects a ticket of an official account. The values are WeChat's.
type TicketType string

// Ticket types.
const (
	JSAPI  TicketType = "jsapi"   // signs wx.config
	WXCard TicketType = "wx_card" // signs the card API

	// SDK signs the login by QR code of a mobile app or website
	// (developers.weixin.qq.com/doc/oplatform/Mobile_App/WeChat_Login/Login_via_Scan.html; WxJava
	// of 2025-01 has the same number).
	SDK TicketType = "2"
)

// Ticket fetches a ticket of an official account with /cgi-bin/ticket/getticket. [Ask].Parent is
// the account's access_token. A repeated call returns the same ticket for two hours, always with an
// expires_in of 7200.
type Ticket struct {
	Client *Client
	Type   TicketType // empty means JSAPI
}

// Fetch makes one call.
func (f Ticket) Fetch(ctx context.Context, ask Ask) (Token, error) {
	kind := f.Type
	if kind == "" {
		kind = JSAPI
	}
	return f.Client.token(ctx, call{
		path:   "/cgi-bin/ticket/getticket",
		query:  url.Values{"access_token": {string(ask.Parent)}, "type": {string(kind)}},
		with:   []secret.Text{ask.Parent},
		child:  true,
		effect: repeats,
		field:  "ticket",
	})
}
