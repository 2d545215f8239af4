package fetchers

import (
	"context"
	"net/url"

	"tokend/fetchers/secret"
)

// DownstreamToken fetches the access_token of a downstream corp that shares an app with its
// upstream corp, with /cgi-bin/corpgroup/corp/gettoken. [Ask].Parent is the access_token of the
// upstream corp's app. WeCom does not document the answer to a second call. It is assumed to be the
// same token until it expires, as for WeCom's other tokens.
type DownstreamToken struct {
	Client *Client
	CorpID string // the downstream corp's corpid

	// AgentID is the ID of the shared app in the downstream corp.
	AgentID int64

	// BusinessType is 0 for linked corps (企业互联), 1 for upstream and downstream (上下游).
	BusinessType int
}

// Fetch makes one call.
func (f DownstreamToken) Fetch(ctx context.Context, ask Ask) (Token, error) {
	return f.Client.token(ctx, call{
		platform: wecom,
		path:     "/cgi-bin/corpgroup/corp/gettoken",
		query:    url.Values{"access_token": {string(ask.Parent)}},
		body: struct {
			CorpID       string `json:"corpid"`
			BusinessType int    `json:"business_type"`
			AgentID      int64  `json:"agentid"` // a number, as in WeCom's documentation
		}{f.CorpID, f.BusinessType, f.AgentID},
		with:   []secret.Text{ask.Parent},
		child:  true,
		effect: repeats,
		field:  "access_token",
		// The only credential in the call that 40001 can mean is the upstream app's token. 40058
		// means that the configured values are wrong.
		special: map[int]Reaction{40001: ParentDead, 40058: Misconfigured},
	})
}
