package fetchers

import (
	"context"

	"tokend/fetchers/secret"
)

// ProviderToken fetches the provider_access_token of a WeCom service provider with
// /cgi-bin/service/get_provider_token. A repeated call returns the same token until it expires.
// WeCom blocks frequent calls.
type ProviderToken struct {
	Client *Client
	CorpID string // the provider's corpid
	Secret secret.Text
}

// Fetch makes one call.
func (f ProviderToken) Fetch(ctx context.Context, _ Ask) (Token, error) {
	return f.Client.token(ctx, call{
		platform: wecom,
		path:     "/cgi-bin/service/get_provider_token",
		body: struct {
			CorpID string `json:"corpid"`
			Secret string `json:"provider_secret"`
		}{f.CorpID, string(f.Secret)},
		own:    f.Secret,
		effect: repeats,
		field:  "provider_access_token",
	})
}
