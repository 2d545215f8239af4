package fetchers

import (
	"strings"
	"testing"
	"time"
)

func TestReactions(t *testing.T) {
	var (
		token    = call{platform: weixin, path: "/cgi-bin/token"}
		stable   = call{platform: weixin, path: "/cgi-bin/stable_token"}
		ticket   = call{platform: weixin, path: "/cgi-bin/ticket/getticket", child: true}
		corp     = call{platform: wecom, path: "/cgi-bin/gettoken"}
		provider = call{platform: wecom, path: "/cgi-bin/service/get_provider_token"}
		agent    = call{platform: wecom, path: "/cgi-bin/ticket/get", child: true}
	)
	tests := []struct {
		name string
		call call
		code int
		want Reaction
	}{
		{"wrong secret", token, 40001, Misconfigured},
		{"wrong secret", stable, 40001, Misconfigured},
		{"token not the latest", ticket, 40001, ParentDead},
		{"wrong secret", corp, 40001, Misconfigured},
		{"wrong secret, even for a child", agent, 40001, Misconfigured},
		{"token of another account", ticket, 40014, ParentDead},
		{"no token was sent", token, 40014, Misconfigured},
		{"token invalid", agent, 40014, ParentDead},
		{"no token was sent", corp, 40014, Misconfigured},
		{"token expired", ticket, 42001, ParentDead},
		{"token expired", agent, 42001, ParentDead},
		{"no token was sent", corp, 42001, Misconfigured},
		{"component token expired", ticket, 42006, ParentDead},

		// The same number on both platforms.
		{"card size", ticket, 40082, Misconfigured},
		{"suite or provider token invalid", agent, 40082, ParentDead},
		{"suite or provider token invalid", provider, 40082, Misconfigured},
		{"card size", ticket, 40083, Misconfigured},
		{"suite_id", agent, 40083, Misconfigured},
		{"card size", ticket, 40084, Misconfigured},
		{"permanent_code", agent, 40084, Reauthorize},
		{"card size", ticket, 40085, Misconfigured},
		{"suite_ticket", agent, 40085, NewTicket},
		{"password changed", ticket, 42007, Reauthorize},
		{"pre_auth_code expired", agent, 42007, Malformed},
		{"client's own token", ticket, 42009, Misconfigured},
		{"suite token expired", agent, 42009, ParentDead},
		{"too many at once", token, 45033, Retry},
		{"too many at once", ticket, 45033, Retry},
		{"too many at once", agent, 45033, Retry},
		{"platform id", ticket, 40089, Malformed},
		{"batch job", agent, 40089, Misconfigured},
		{"unknown", ticket, 48003, Misconfigured},
		{"another suite's token", agent, 48003, Misconfigured},
		{"banned", ticket, 48004, Misconfigured},
		{"authorization cancelled", agent, 48004, Reauthorize},
		{"not authorized", ticket, 50001, Misconfigured},
		{"domain", agent, 50001, Misconfigured},
		{"account closed", ticket, 50002, Misconfigured},
		{"unknown", agent, 50002, Misconfigured},
		{"unknown", ticket, 50003, Misconfigured},
		{"app disabled", agent, 50003, Misconfigured},
		{"unknown", token, 6000, Misconfigured},
		{"version conflict", corp, 6000, Retry},

		{"busy", token, -1, Retry},
		{"busy", corp, -1, Retry},
		{"a quota, whatever errmsg says", token, 45009, QuotaDay},
		{"a quota, whatever errmsg says", stable, 45009, QuotaDay},
		{"a limit per minute or hour", agent, 45009, QuotaMinute},
		{"address", token, 40164, AddressRefused},
		{"address", token, 61004, AddressRefused},
		{"address", token, 45035, AddressRefused},
		{"address, to be confirmed", token, 89503, AddressRefused},
		{"address", corp, 60020, AddressRefused},
		{"secret frozen", token, 40243, Misconfigured},
		{"a component's appid", token, 61024, Misconfigured},
		{"component ticket", ticket, 61006, NewTicket},
		{"refresh token", ticket, 61023, Reauthorize},
		{"appid missing", stable, 41002, Malformed},
		{"not JSON", provider, 47001, Malformed},
		{"ticket type", agent, 91040, Malformed},
		{"unknown", token, 123456, Misconfigured},
		{"unknown", corp, -7, Misconfigured},
	}
	for _, tt := range tests {
		if got, _ := tt.call.reaction(tt.code); got != tt.want {
			t.Errorf("%s (%d at %s): got %v, want %v", tt.name, tt.code, tt.call.path, got, tt.want)
		}
	}
}

func TestPause(t *testing.T) {
	tests := []struct {
		platform platform
		code     int
		want     time.Duration
	}{
		{weixin, 89506, 24 * time.Hour},
		{weixin, 89507, time.Hour},
		{weixin, 89503, 0},
		{wecom, 89506, 0},
	}
	for _, tt := range tests {
		c := call{platform: tt.platform}
		if _, got := c.reaction(tt.code); got != tt.want {
			t.Errorf("%d on platform %d: got %v, want %v", tt.code, tt.platform, got, tt.want)
		}
	}
}

func TestReactionString(t *testing.T) {
	seen := map[string]bool{}
	for r := Retry; r <= CodeRefused+1; r++ {
		word := r.String()
		if unknown := strings.HasPrefix(word, "Reaction("); seen[word] || unknown != (r > CodeRefused) {
			t.Errorf("reaction %d: got %q", r, word)
		}
		seen[word] = true
	}
}
