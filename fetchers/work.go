package fetchers

import (
	"context"
	"net/url"

	"tokend/fetchers/secret"
)

// CorpToken fetches the access_token of one app of a corp with /cgi-bin/gettoken. The secret
// identifies the app; two apps of a corp have two tokens. A repeated call returns the same token
// until it expires, and no parameter changes that.
type CorpToken struct {
	Client *Client
	CorpID string
	Secret secret.Text
}

// Fetch makes one call.
func (f CorpToken) Fetch(ctx context.Context, _ Ask) (Token, error) {
	return f.Client.token(ctx, call{
		platform: wecom,
		path:     "/cgi-bin/gettoken",
		query:    url.Values{"corpid": {f.CorpID}, "corpsecret": {string(f.Secret)}},
		own:      f.Secret,
		effect:   repeats,
		field:    "access_token",
	})
}

// CorpTicket fetches the jsapi_ticket of a corp, which signs wx.config, with
// /cgi-bin/get_jsapi_ticket. [Ask].Parent is an app's access_token. WeCom allows 100 calls an hour
// per app and 400 per corp.
type CorpTicket struct {
	Client *Client
}

// Fetch makes one call.
func (f CorpTicket) Fetch(ctx context.Context, ask Ask) (Token, error) {
	return f.Client.token(ctx, call{
		platform: wecom,
		path:     "/cgi-bin/get_jsapi_ticket",
		query:    url.Values{"access_token": {string(ask.Parent)}},
		with:     []secret.Text{ask.Parent},
		child:    true,
		effect:   repeats,
		field:    "ticket",
	})
}

// AgentTicket fetches the ticket of one app, which signs wx.agentConfig, with /cgi-bin/ticket/get.
// [Ask].Parent is the access_token of the same app: WeChat's script rejects the ticket of another
// app. WeCom's limits are those of [CorpTicket].
type AgentTicket struct {
	Client *Client
}

// Fetch makes one call.
func (f AgentTicket) Fetch(ctx context.Context, ask Ask) (Token, error) {
	return f.Client.token(ctx, call{
		platform: wecom,
		path:     "/cgi-bin/ticket/get",
		query:    url.Values{"access_token": {string(ask.Parent)}, "type": {"agent_config"}},
		with:     []secret.Text{ask.Parent},
		child:    true,
		effect:   repeats,
		field:    "ticket",
	})
}
