package wechattest

import (
	"testing"
	"time"
)

func TestExpiredIsInvalid(t *testing.T) {
	bubble(t, Settings{ExpiredIsInvalid: true}, func(c caller) {
		work, oa := c.corpToken("app-secret-1").Access, c.token().Access
		time.Sleep(2 * time.Hour)
		c.alive(work, 40014)
		c.isCode(c.get(CorpTicket+"?access_token="+work), 40014)
		c.alive(oa, 42001)
	})
}

func TestWorkRepeats(t *testing.T) {
	for _, full := range []bool{false, true} {
		bubble(t, Settings{WorkSaysFullLife: full}, func(c caller) {
			token := c.corpToken("app-secret-1")
			calls := map[string]func() said{
				"token": func() said { return c.corpToken("app-secret-1") },
				"corp":  func() said { return c.get(CorpTicket + "?access_token=" + token.Access) },
				"agent": func() said { return c.get(AgentTicket + "?type=agent_config&access_token=" + token.Access) },
				"provider": func() said {
					return c.do("POST", ProviderToken, `{"corpid":"wwprovider","provider_secret":"provider-secret"}`)
				},
			}
			value := func(s said) string { return s.Access + s.Provider + s.Ticket }
			first := map[string]string{}
			for name, call := range calls {
				first[name] = value(call())
			}
			time.Sleep(2*time.Hour - 90*time.Second)
			want := int64(90)
			if full {
				want = 7200
			}
			for name, call := range calls {
				if got := call(); value(got) != first[name] || got.ExpiresIn != want || first[name] == "" {
					t.Errorf("%s, full life %v: another value, or %d s left, want %d", name, full, got.ExpiresIn, want)
				}
			}
			time.Sleep(90 * time.Second)
			c.alive(token.Access, 42001)
			token = c.corpToken("app-secret-1")
			for name, call := range calls {
				if got := call(); value(got) == first[name] || got.ErrCode != 0 {
					t.Errorf("%s: the same value after its end, or %s", name, got.ErrMsg)
				}
			}
		})
	}
}

func TestAppsIndependent(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		seen := map[string]bool{}
		for _, secret := range []string{"app-secret-1", "app-secret-2"} {
			a := c.corpToken(secret).Access
			for _, v := range []string{a, c.get(CorpTicket + "?access_token=" + a).Ticket, c.get(AgentTicket + "?type=agent_config&access_token=" + a).Ticket} {
				if v == "" || seen[v] {
					t.Errorf("the value %q twice", v)
				}
				seen[v] = true
			}
		}
	})
}

func TestEarlyDeath(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		a := c.corpToken("app-secret-1").Access
		other := c.corpToken("app-secret-2").Access
		c.Kill(a)
		c.alive(a, 40014)
		c.isCode(c.get(CorpTicket+"?access_token="+a), 40014)
		b := c.corpToken("app-secret-1").Access
		if b == a {
			t.Error("gettoken repeats a dead token")
		}
		c.Kill("never issued") // ignored

		s, r := c.stable(false).Access, c.token().Access
		c.KillAll("wx01")
		c.alive(s, 40001)
		c.alive(r, 40001)
		c.KillAll("ww01/1000001")
		c.alive(b, 40014)
		c.alive(other, 0)
	})
}

func TestInvalidTokens(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		oa, work := c.stable(false).Access, c.corpToken("app-secret-1").Access
		ticket := c.get(Ticket + "?type=jsapi&access_token=" + oa).Ticket
		provider := c.do("POST", ProviderToken, `{"corpid":"wwprovider","provider_secret":"provider-secret"}`).Provider
		tests := []struct {
			name, path, token string
			want              int
		}{
			{"none", Ticket, "", 41001},
			{"nonsense", Ticket, "x", 40001},
			{"of the other platform", Ticket, work, 40001},
			{"a ticket", Ticket, ticket, 40001},
			{"none", CorpTicket, "", 41001},
			{"nonsense", CorpTicket, "x", 40014},
			{"of the other platform", CorpTicket, oa, 40014},
			{"of a provider", CorpTicket, provider, 40014},
			{"like an official account's", Probe, "74_x", 40001},
			{"like WeCom's", Probe, "x", 40014},
		}
		for _, tt := range tests {
			if got := c.get(tt.path + "?type=jsapi&access_token=" + tt.token); got.ErrCode != tt.want {
				t.Errorf("%s, %s: got errcode %d, want %d", tt.path, tt.name, got.ErrCode, tt.want)
			}
		}
	})
}
