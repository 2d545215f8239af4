package wechattest

import (
	"fmt"
	"regexp"
	"testing"
	"time"
)

func TestArgumentOrder(t *testing.T) {
	tests := []struct {
		method, pathQuery, body string
		want                    int
	}{
		{"GET", Token, "", 41002},
		{"GET", Token + "?appid=wx99", "", 40013},
		{"GET", Token + "?appid=wx01", "", 40002},
		{"GET", Token + "?appid=wx01&grant_type=x&secret=x", "", 40002},
		{"GET", Token + "?appid=wx01&grant_type=client_credential", "", 41004},
		{"GET", Token + "?appid=wx01&grant_type=client_credential&secret=x", "", 40125},
		{"POST", Token + "?appid=wx01&grant_type=client_credential&secret=secret-1", "", 43001},
		{"GET", StableToken, "", 43002},
		{"POST", StableToken, "", 41002},
		{"POST", StableToken, "grant_type=client_credential&appid=wx01&secret=secret-1", 41002},
		{"POST", StableToken, `{"appid":"wx99"}`, 40013},
		{"POST", StableToken, `{"appid":"wx01","grant_type":"client_credential","secret":"x"}`, 40125},
		{"GET", CorpToken, "", 41002},
		{"GET", CorpToken + "?corpid=ww99", "", 41004},
		{"GET", CorpToken + "?corpid=ww99&corpsecret=x", "", 40013},
		{"GET", CorpToken + "?corpid=ww01&corpsecret=x", "", 40001},
		{"GET", ProviderToken, "", 43002},
		{"POST", ProviderToken, "", 44002},
		{"POST", ProviderToken, "corpid=wwprovider", 47001},
		{"POST", ProviderToken, `{}`, 41002},
		{"POST", ProviderToken, `{"corpid":"ww01"}`, 41004},
		{"POST", ProviderToken, `{"corpid":"ww01","provider_secret":"x"}`, 40013},
		{"POST", ProviderToken, `{"corpid":"wwprovider","provider_secret":"x"}`, 40001},
	}
	c := newCaller(t, Settings{})
	for _, tt := range tests {
		if got := c.do(tt.method, tt.pathQuery, tt.body); got.ErrCode != tt.want || got.ErrMsg == "" {
			t.Errorf("%s %s %s: got errcode %d %q, want %d", tt.method, tt.pathQuery, tt.body, got.ErrCode, got.ErrMsg, tt.want)
		}
	}
	work := c.corpToken("app-secret-1").Access
	c.isCode(c.get(AgentTicket+"?access_token="+work+"&type=jsapi"), 91040)
}

func TestErrmsg(t *testing.T) {
	c := newCaller(t, Settings{ClientIP: "192.0.2.44"})
	const (
		rid  = ` rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$`
		hint = `, hint: \[\d+_\d+_[0-9a-f]{12}\], from ip: 192\.0\.2\.44, more info at https://open\.work\.weixin\.qq\.com/devtool/query\?e=`
	)
	tests := []struct {
		fault int // injected; 0 if the call fails by itself
		call  func() said
		want  string
	}{
		{0, func() said { return c.get(Token + "?appid=wx99") }, `^invalid appid` + rid},
		{40164, c.token, `^invalid ip 192\.0\.2\.44 ipv6 ::ffff:192\.0\.2\.44, not in whitelist` + rid},
		{61004, c.token, `^access clientip is not registered requestIP: 192\.0\.2\.44` + rid},
		{0, func() said { return c.corpToken("x") }, `^invalid credential` + hint + `40001$`},
		{60020, func() said { return c.corpToken("app-secret-1") }, `^not allow to access from your ip` + hint + `60020$`},
	}
	for _, tt := range tests {
		if tt.fault != 0 {
			c.Inject(Fault{Code: tt.fault, Times: 1})
		}
		if got := tt.call(); !regexp.MustCompile(tt.want).MatchString(got.ErrMsg) {
			t.Errorf("errcode %d:\n got %s\nwant %s", got.ErrCode, got.ErrMsg, tt.want)
		}
	}
}

func TestSecretsChange(t *testing.T) {
	c := newCaller(t, Settings{})
	old := c.stable(false).Access
	c.SetFrozen("wx01", true)
	c.isCode(c.stable(false), 40243)
	c.isCode(c.token(), 40243)
	c.SetFrozen("wx01", false)
	c.AddAccount("wx01", "another")
	c.isCode(c.token(), 40125)
	c.alive(old, 0)
	c.AddAccount("wx01", "secret-1")
	if c.stable(false).Access != old {
		t.Error("a changed secret changed the token")
	}
}

func TestTokensPerDay(t *testing.T) {
	bubble(t, Settings{Limits: Limits{TokensPerDay: 3}}, func(c caller) {
		for range 3 {
			c.isCode(c.token(), 0)
		}
		c.isCode(c.token(), 45009)
		c.isCode(c.stable(false), 0)
		// A bubble starts at midnight UTC, eight in the morning in Shanghai.
		time.Sleep(16*time.Hour - 1)
		c.isCode(c.token(), 45009)
		time.Sleep(time.Nanosecond)
		c.isCode(c.token(), 0)
	})
}

func TestStablePerMinute(t *testing.T) {
	bubble(t, Settings{Limits: Limits{StablePerMinute: 2}}, func(c caller) {
		c.isCode(c.stable(false), 0)
		c.isCode(c.stable(false), 0)
		time.Sleep(50 * time.Second)
		c.isCode(c.stable(false), 45009)
		time.Sleep(50 * time.Second)
		c.isCode(c.stable(false), 45009)
		time.Sleep(10 * time.Second) // a minute after the first error
		c.isCode(c.stable(false), 0)
	})
}

func TestTicketsPerHour(t *testing.T) {
	bubble(t, Settings{Limits: Limits{TicketsPerHour: 3, CorpTicketsPerHour: 5}}, func(c caller) {
		one, two := c.corpToken("app-secret-1").Access, c.corpToken("app-secret-2").Access
		want := func(token string, code int) {
			t.Helper()
			c.isCode(c.get(CorpTicket+"?access_token="+token), code)
		}
		for range 3 {
			want(one, 0)
		}
		want(one, 45009) // the app's fourth
		want(two, 0)     // the corp's fifth
		want(two, 45009)
		c.isCode(c.get(AgentTicket+"?type=agent_config&access_token="+one), 0)
		time.Sleep(time.Hour)
		want(one, 0)
	})
}

func TestErrorsBlockCorp(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		for range 2000 {
			c.isCode(c.corpToken("wrong"), 40001)
		}
		c.isCode(c.corpToken("wrong"), 45009)
		c.isCode(c.corpToken("app-secret-1"), 45009)
		c.isCode(c.token(), 0)
		time.Sleep(time.Hour)
		c.isCode(c.corpToken("app-secret-1"), 0)
	})
}

func TestNoLimits(t *testing.T) {
	c := newCaller(t, Settings{Limits: Limits{TokensPerDay: -1, ErrorsPerHour: -1}})
	for i := range 2100 {
		c.isCode(c.token(), 0)
		if got := c.corpToken(fmt.Sprint("wrong", i)); got.ErrCode != 40001 {
			t.Fatalf("call %d: got errcode %d", i, got.ErrCode)
		}
	}
}
