package wechattest

import (
	"fmt"
	"testing"
	"time"
)

// downstream requests the token of a downstream corp. agent and business are JSON.
func (c caller) downstream(parent, corp, agent, business string) said {
	c.t.Helper()
	return c.do("POST", DownstreamToken+"?access_token="+parent, fmt.Sprintf(`{"corpid":%q,"business_type":%s,"agentid":%s}`, corp, business, agent))
}

// withDownstream shares both apps of ww01 with wwdown, and the first with wwother.
func withDownstream(c caller) {
	c.AddDownstream("ww01", "1000001", "wwdown", 5, 1)
	c.AddDownstream("ww01", "1000001", "wwother", 5, 0)
	c.AddDownstream("ww01", "1000002", "wwdown", 6, 1)
}

func TestDownstreamArguments(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		withDownstream(c)
		app := c.corpToken("app-secret-1").Access
		provider := c.do("POST", ProviderToken, `{"corpid":"wwprovider","provider_secret":"provider-secret"}`).Provider
		down := c.downstream(app, "wwdown", "5", "1")
		c.isCode(down, 0)
		path := DownstreamToken + "?access_token=" + app
		for _, tt := range []struct {
			name string
			got  said
			want int
		}{
			{"GET", c.get(path), 43002},
			{"no token", c.do("POST", DownstreamToken, `{}`), 41001},
			{"a provider's token", c.downstream(provider, "wwdown", "5", "1"), 40014},
			{"a downstream corp's token", c.downstream(down.Access, "wwdown", "5", "1"), 48002},
			{"no body", c.do("POST", path, ""), 44002},
			{"no JSON", c.do("POST", path, "corpid=wwdown"), 47001},
			{"no corp", c.do("POST", path, `{"agentid":5}`), 41002},
			{"agentid as a string", c.downstream(app, "wwdown", `"5"`, "1"), 40056},
			{"no agentid", c.do("POST", path, `{"corpid":"wwdown","business_type":1}`), 40056},
			{"business_type 2", c.downstream(app, "wwdown", "5", "2"), 40035},
			{"business_type as a string", c.downstream(app, "wwdown", "5", `"1"`), 40035},
			{"business_type of another", c.downstream(app, "wwdown", "5", "0"), 301002},
			{"agentid of another", c.downstream(app, "wwdown", "6", "1"), 301002},
			{"a corp of another app's", c.downstream(c.corpToken("app-secret-2").Access, "wwother", "5", "0"), 40013},
			{"no such corp", c.downstream(app, "wwnobody", "5", "1"), 40013},
			{"business_type omitted", c.do("POST", path, `{"corpid":"wwother","agentid":5}`), 0},
		} {
			if tt.got.ErrCode != tt.want {
				t.Errorf("%s: got errcode %d, want %d", tt.name, tt.got.ErrCode, tt.want)
			}
		}
	})
}

func TestDownstreamTokens(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		withDownstream(c)
		one, two := c.corpToken("app-secret-1").Access, c.corpToken("app-secret-2").Access
		a := c.downstream(one, "wwdown", "5", "1")
		if seen := map[string]bool{a.Access: true, c.downstream(one, "wwother", "5", "0").Access: true, c.downstream(two, "wwdown", "6", "1").Access: true}; len(seen) != 3 {
			t.Errorf("%d different tokens, want 3", len(seen))
		}
		c.alive(a.Access, 0)
		time.Sleep(2*time.Hour - time.Minute)
		one = c.corpToken("app-secret-1").Access
		if got := c.downstream(one, "wwdown", "5", "1"); got.Access != a.Access || got.ExpiresIn != 60 {
			t.Errorf("a minute before expiry: another token, or %d s left", got.ExpiresIn)
		}
		time.Sleep(time.Minute)
		one = c.corpToken("app-secret-1").Access
		b := c.downstream(one, "wwdown", "5", "1")
		if c.alive(a.Access, 42001); b.Access == a.Access {
			t.Error("the token is repeated after its expiry")
		}
		if n := c.CallsFor(DownstreamToken, "ww01/1000001/wwdown"); n != 3 {
			t.Errorf("%d calls are counted, want 3", n)
		}

		c.Kill(one)
		c.isCode(c.downstream(one, "wwdown", "5", "1"), 40014)
		one = c.corpToken("app-secret-1").Access
		other := c.downstream(one, "wwother", "5", "0").Access
		c.KillAll("ww01/1000001/wwdown")
		c.alive(b.Access, 40014)
		c.alive(other, 0)
		c.Inject(Fault{Endpoint: DownstreamToken, Account: "ww01/1000001/wwdown", Code: 45009, Times: 1})
		c.isCode(c.downstream(one, "wwdown", "5", "1"), 45009)
		c.isCode(c.downstream(one, "wwdown", "5", "1"), 0)
		c.RemoveDownstream("ww01", "1000001", "wwother")
		c.alive(other, 40014)
		c.isCode(c.downstream(one, "wwother", "5", "0"), 40013)
	})
}

func TestDownstreamPerMinute(t *testing.T) {
	bubble(t, Settings{Limits: Limits{DownstreamPerMinute: 2}}, func(c caller) {
		withDownstream(c)
		one, two := c.corpToken("app-secret-1").Access, c.corpToken("app-secret-2").Access
		c.isCode(c.downstream(one, "wwdown", "5", "1"), 0)
		c.isCode(c.downstream(two, "wwdown", "6", "1"), 0) // of the same corp
		c.isCode(c.downstream(one, "wwdown", "5", "1"), 45009)
		c.isCode(c.get(CorpTicket+"?access_token="+one), 0)
		time.Sleep(time.Minute)
		c.isCode(c.downstream(one, "wwdown", "5", "1"), 0)
	})
}

func TestDownstreamRegister(t *testing.T) {
	bubble(t, Settings{Register: true}, func(c caller) {
		app := c.corpToken("app-secret-1").Access
		a, b := c.downstream(app, "wwnew", "5", "1"), c.downstream(app, "wwnew2", "5", "0")
		if a.Access == "" || b.Access == "" || a.Access == b.Access {
			t.Errorf("got errcodes %d and %d, or one token for both", a.ErrCode, b.ErrCode)
		}
	})
}
