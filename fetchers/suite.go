package fetchers

import (
	"context"
	"net/url"

	"tokend/fetchers/secret"
)

// SuiteToken fetches the suite_access_token of a WeCom suite with /cgi-bin/service/get_suite_token.
// [Ask].Parent is the newest suite_ticket. A repeated call returns the same token for two hours,
// even with a newer ticket.
type SuiteToken struct {
	Client  *Client
	SuiteID string
	Secret  secret.Text
}

// Fetch makes one call.
func (f SuiteToken) Fetch(ctx context.Context, ask Ask) (Token, error) {
	return f.Client.token(ctx, call{
		platform: wecom,
		path:     "/cgi-bin/service/get_suite_token",
		body: struct {
			SuiteID string `json:"suite_id"`
			Secret  string `json:"suite_secret"`
			Ticket  string `json:"suite_ticket"`
		}{f.SuiteID, string(f.Secret), string(ask.Parent)},
		own:    f.Secret,
		with:   []secret.Text{ask.Parent},
		effect: repeats,
		field:  "suite_access_token",
	})
}

// SuitePreAuthCode fetches a pre_auth_code, which starts one installation, with
// /cgi-bin/service/get_pre_auth_code. [Ask].Parent is the suite_access_token. The code must not be
// cached, because each installation needs its own.
type SuitePreAuthCode struct {
	Client *Client
}

// Fetch makes one call.
func (f SuitePreAuthCode) Fetch(ctx context.Context, ask Ask) (Token, error) {
	q := suiteCall("/cgi-bin/service/get_pre_auth_code", ask.Parent)
	q.field = "pre_auth_code"
	return f.Client.token(ctx, q)
}

// AuthCorpToken fetches the access_token of a corp that has installed a suite, with
// /cgi-bin/service/get_corp_token. [Ask].Parent is the suite_access_token, and [Ask].Grant the
// corp's permanent code.
type AuthCorpToken struct {
	Client *Client
	CorpID string // the customer's, as WeCom reports it to this provider
}

// Fetch makes one call.
func (f AuthCorpToken) Fetch(ctx context.Context, ask Ask) (Token, error) {
	q := suiteCall("/cgi-bin/service/get_corp_token", ask.Parent)
	q.body = struct {
		CorpID        string `json:"auth_corpid"`
		PermanentCode string `json:"permanent_code"`
	}{f.CorpID, string(ask.Grant)}
	q.with = append(q.with, ask.Grant)
	q.effect = repeats
	q.field = "access_token"
	return f.Client.token(ctx, q)
}

// CustomAppToken fetches the access_token of an app that a provider develops for one corp (a
// template, whose ID starts with "dk"), with /cgi-bin/gettoken. The permanent code, [Ask].Grant, is
// the app's secret. There is no parent.
type CustomAppToken struct {
	Client *Client
	CorpID string // the customer's
}

// Fetch makes one call.
func (f CustomAppToken) Fetch(ctx context.Context, ask Ask) (Token, error) {
	return f.Client.token(ctx, call{
		platform: wecom,
		path:     "/cgi-bin/gettoken",
		query:    url.Values{"corpid": {f.CorpID}, "corpsecret": {string(ask.Grant)}},
		with:     []secret.Text{ask.Grant},
		effect:   repeats,
		field:    "access_token",
		// Where the secret is the customer's grant, no setting can fix a wrong one (40001) or one
		// of another corp (40091).
		special: map[int]Reaction{40001: Reauthorize, 40091: Reauthorize},
	})
}

// suiteCall returns a call with a suite_access_token.
func suiteCall(path string, token secret.Text) call {
	return call{
		platform: wecom,
		path:     path,
		query:    url.Values{"suite_access_token": {string(token)}},
		with:     []secret.Text{token},
		child:    true,
	}
}
