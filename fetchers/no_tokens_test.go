package fetchers

import (
	"errors"
	"strings"
	"testing"
)

// TestQueryAuthWithoutTokens: WeChat's answer for an account without API permissions is a final
// error with a clear text.
func TestQueryAuthWithoutTokens(t *testing.T) {
	for _, tc := range []struct {
		name, answer string
		final        bool
	}{
		{"no tokens", `{"authorization_info":{"authorizer_appid":"wxcustomer","func_info":[]}}`, true},
		{"beside errcode 0", `{"errcode":0,"errmsg":"ok","authorization_info":{"authorizer_appid":"wxcustomer"}}`, true},
		{"empty tokens", `{"authorization_info":{"authorizer_appid":"wxcustomer","authorizer_access_token":"","expires_in":0,"authorizer_refresh_token":""}}`, true},
		{"null tokens", `{"authorization_info":{"authorizer_appid":"wxcustomer","authorizer_refresh_token":null}}`, true},
		{"an access token alone", `{"authorization_info":{"authorizer_appid":"wxcustomer","authorizer_access_token":"t","expires_in":7200}}`, true},
		{"nobody's", `{"authorization_info":{"func_info":[]}}`, false},
		{"truncated", `{"authorization_info":{"authorizer_appid":"wxcustomer","func_info":[]`, false},
		{"a refresh token of a wrong type", `{"authorization_info":{"authorizer_appid":"wxcustomer","authorizer_refresh_token":7}}`, false},
		{"nothing", `{}`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &Client{Transport: answering(200, strings.NewReader(tc.answer))}
			a, err := QueryAuth{Client: c, AppID: "wxc"}.Exchange(t.Context(), "parent", "code")
			if a != (Authorization{}) {
				t.Errorf("got %+v", a)
			}
			api, ok := errors.AsType[*APIError](err)
			if ok != tc.final {
				t.Fatalf("got %v", err)
			}
			if ok && (api.Reaction != CodeRefused || !strings.Contains(api.Error(), "no API permissions") || !strings.HasPrefix(api.Error(), "errcode=0 ")) {
				t.Errorf("got %v, %v", api.Reaction, api)
			}
		})
	}
}
