package fetchers

import (
	"context"
	"net/url"

	"tokend/fetchers/secret"
)

// DownstreamToken fetches the access_token of a downstream corp that shares an app with its
// upstream corp, by /cgi-bin/corpgroup/corp/gettoken, with the access_token of the upstream corp's
// app as [Ask].Parent. WeCom does not document what a second call answers; like other tokens of
// WeCom's, it is assumed to be the same until its end.
type DownstreamToken struct {
	Client *Client
	CorpID string // the downstream corp's

	// AgentID is that of the shared app in the downstream corp.
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
			AgentID      int64  `json:"agentid"` // a number: WeCom's document has no other
		}{f.CorpID, f.BusinessType, f.AgentID},
		with:   []secret.Text{ask.Parent},
		child:  true,
		effect: repeats,
		field:  "access_token",
		// The call carries no secret that 40001 could mean but the upstream app's token. What 40058
		// refuses is what is configured.
		special: map[int]Reaction{40001: ParentDead, 40058: Misconfigured},
	})
}
