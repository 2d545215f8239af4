package fetchers

import (
	"context"
	"net/url"

	"tokend/fetchers/secret"
)

// CorpToken fetches the access_token of one app of a corp by /cgi-bin/gettoken.
// The app is told by its secret; two apps of a corp have two tokens. Asking
// again answers the same token until its end, and nothing makes it answer another.
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

// CorpTicket fetches the jsapi_ticket of a corp, which signs wx.config, by
// /cgi-bin/get_jsapi_ticket, with an app's access_token as [Ask].Parent. WeCom allows
// 100 calls an hour to an app and 400 to a corp.
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

// AgentTicket fetches the ticket of one app, which signs wx.agentConfig, by
// /cgi-bin/ticket/get, with that app's own access_token as [Ask].Parent: the
// ticket of another app is refused in the page. WeCom's limits are those of
// [CorpTicket].
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
