package wechattest

import (
	"strings"
	"testing"
	"time"
)

func (c caller) suiteBy(suite, secret, ticket string) said {
	c.t.Helper()
	return c.post(SuiteToken, "suite_id", suite, "suite_secret", secret, "suite_ticket", ticket)
}

// suite fetches a suite's token with a new ticket.
func (c caller) suite(suite, secret string) string {
	c.t.Helper()
	s := c.suiteBy(suite, secret, c.TicketPush(suite).Event.Ticket)
	c.isCode(s, 0)
	return s.Suite
}

func (c caller) permanent(path, token, code string) said {
	c.t.Helper()
	return c.post(path+"?suite_access_token="+token, "auth_code", code)
}

func (c caller) authCorp(token, corp, code string) said {
	c.t.Helper()
	return c.post(AuthCorpToken+"?suite_access_token="+token, "auth_corpid", corp, "permanent_code", code)
}

func TestSuiteTokenRepeats(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		ticket := c.TicketPush("wwsuite").Event.Ticket
		a := c.suiteBy("wwsuite", "suite-secret", ticket)
		if len(ticket) != 64 || len(a.Suite) != 128 || a.ExpiresIn != 7200 || !strings.Contains(a.raw, `"errcode":0`) {
			t.Errorf("got ticket %s, answer %s", ticket, a.raw)
		}
		time.Sleep(30*time.Minute - 1)
		c.isCode(c.suiteBy("wwsuite", "suite-secret", ticket), 0)
		time.Sleep(time.Nanosecond)
		c.isCode(c.suiteBy("wwsuite", "suite-secret", ticket), 40085)
		newer := c.TicketPush("wwsuite").Event.Ticket
		if b := c.suiteBy("wwsuite", "suite-secret", newer); b.Suite != a.Suite || b.ExpiresIn != 5400 {
			t.Errorf("a newer ticket: another token, or %d s left", b.ExpiresIn)
		}
		time.Sleep(90 * time.Minute)
		c.isCode(c.get(SuitePreAuthCode+"?suite_access_token="+a.Suite), 42009)
		if b := c.suite("wwsuite", "suite-secret"); b == a.Suite {
			t.Error("the same token after its expiry")
		}
	})
}

func TestSuitesSayNoErrcode(t *testing.T) {
	c := newCaller(t, Settings{SuitesSayNoErrcode: true})
	a := c.suiteBy("wwsuite", "suite-secret", c.TicketPush("wwsuite").Event.Ticket)
	b := c.authCorp(a.Suite, "wwA", c.AddCustomer("wwsuite", "wwA"))
	if a.Suite == "" || b.Access == "" || strings.Contains(a.raw+b.raw, "errcode") {
		t.Errorf("got %s and %s", a.raw, b.raw)
	}
}

func TestSuiteRefusals(t *testing.T) {
	c := newCaller(t, Settings{})
	token := c.suite("wwsuite", "suite-secret")
	template := c.suite("dktemplate", "template-secret")
	c.AddCustomer("wwsuite", "wwA")
	used := c.Authorize("wwsuite2", "wwA")
	long := strings.Repeat("x", 64)
	with := func(path string) string { return path + "?suite_access_token=" + token }
	tests := []struct {
		method, pathQuery, body string
		want                    int
	}{
		{"GET", SuiteToken, "", 43002},
		{"POST", SuiteToken, "", 44002},
		{"POST", SuiteToken, "suite_id=wwsuite", 47001},
		{"POST", SuiteToken, `{}`, 41021},
		{"POST", SuiteToken, `{"suite_id":"ww99"}`, 40083},
		{"POST", SuiteToken, `{"suite_id":"wxplatform"}`, 40083},
		{"POST", SuiteToken, `{"suite_id":"wwsuite"}`, 41024},
		{"POST", SuiteToken, `{"suite_id":"wwsuite","suite_secret":"x"}`, 40080},
		{"POST", SuiteToken, `{"suite_id":"wwsuite","suite_secret":"suite-secret"}`, 41023},
		{"POST", SuiteToken, `{"suite_id":"wwsuite","suite_secret":"suite-secret","suite_ticket":"x"}`, 40085},
		{"POST", SuiteToken, `{"suite_id":"wwsuite","suite_secret":"suite-secret","suite_ticket":"` + c.TicketPush("wwsuite2").Event.Ticket + `"}`, 40085},
		{"POST", with(SuitePreAuthCode), `{}`, 43001},
		{"GET", SuitePreAuthCode, "", 41022},
		{"GET", SuitePreAuthCode + "?suite_access_token=x", "", 40082},
		{"POST", with(PermanentCode), `{"auth_code":"short"}`, 40058},
		{"POST", with(PermanentCode), `{"auth_code":"` + long + `"}`, 40078},
		{"POST", with(PermanentCodeV2), `{"auth_code":"` + used + `"}`, 40078}, // of another suite
		{"POST", PermanentCodeV2, `{"auth_code":"` + used + `"}`, 41022},
		{"POST", with(AuthCorpToken), `{"permanent_code":"x"}`, 41002},
		{"POST", with(AuthCorpToken), `{"auth_corpid":"wwA"}`, 41025},
		{"POST", with(AuthCorpToken), `{"auth_corpid":"wwA","permanent_code":"x"}`, 40084},
		{"POST", with(AuthCorpToken), `{"auth_corpid":"wwB","permanent_code":"x"}`, 48004},
		{"POST", AuthCorpToken + "?suite_access_token=x", `{"auth_corpid":"wwA","permanent_code":"x"}`, 40082},
		{"POST", AuthCorpToken + "?suite_access_token=" + template, `{"auth_corpid":"wwA","permanent_code":"x"}`, 48002},
		{"GET", CorpTicket + "?access_token=" + token, "", 40014},
	}
	for _, tt := range tests {
		if got := c.do(tt.method, tt.pathQuery, tt.body); got.ErrCode != tt.want || got.ErrMsg == "" || strings.HasPrefix(got.ErrMsg, "error,") {
			t.Errorf("%s %.60s %s: got errcode %d %q, want %d", tt.method, tt.pathQuery, tt.body, got.ErrCode, got.ErrMsg, tt.want)
		}
	}
	c.Kill(token)
	c.isCode(c.get(with(SuitePreAuthCode)), 40082)
	c.SetAddressListed("wwsuite", false)
	got := c.suiteBy("wwsuite", "suite-secret", c.TicketPush("wwsuite").Event.Ticket)
	if got.ErrCode != 60020 || !strings.Contains(got.ErrMsg, "from ip: 192.0.2.1") {
		t.Errorf("got errcode %d %s", got.ErrCode, got.ErrMsg)
	}
}

func TestPermanentCodes(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		token := c.suite("wwsuite", "suite-secret")
		pre := c.get(SuitePreAuthCode + "?suite_access_token=" + token)
		if pre.PreAuth == "" || pre.ExpiresIn != 1200 || c.get(SuitePreAuthCode+"?suite_access_token="+token).PreAuth == pre.PreAuth {
			t.Errorf("got %s", pre.raw)
		}

		code := c.Authorize("wwsuite", "wwA")
		v2 := c.permanent(PermanentCodeV2, token, code)
		if v2.Permanent == "" || v2.Permanent != c.CurrentGrant("wwsuite", "wwA") || v2.AuthCorpInfo.CorpID != "wwA" ||
			strings.Contains(v2.raw, "access_token") || strings.Contains(v2.raw, "auth_info") {
			t.Errorf("v2: got %s", v2.raw)
		}
		c.isCode(c.permanent(PermanentCodeV2, token, code), 40078)
		v1 := c.permanent(PermanentCode, token, c.Authorize("wwsuite", "wwA"))
		if v1.Permanent != v2.Permanent || v1.Access == "" || v1.ExpiresIn != 7200 || len(v1.AuthInfo.Agent) != 1 || v1.AuthInfo.Agent[0].Customized {
			t.Errorf("v1: got %s", v1.raw)
		}
		late := c.Authorize("wwsuite", "wwB")
		time.Sleep(10 * time.Minute)
		c.isCode(c.permanent(PermanentCodeV2, token, late), 42008)

		corp := c.authCorp(token, "wwA", v2.Permanent)
		if corp.Access != v1.Access || corp.ExpiresIn != 6600 {
			t.Errorf("got %s", corp.raw)
		}
		c.alive(corp.Access, 0)
		for _, ticket := range []string{CorpTicket + "?", AgentTicket + "?type=agent_config&"} {
			if got := c.get(ticket + "access_token=" + corp.Access); got.Ticket == "" {
				t.Errorf("%s: got %s", ticket, got.raw)
			}
		}
		if n := c.CallsFor(CorpTicket, "wwsuite/wwA") + c.CallsFor(AuthCorpToken, "wwsuite/wwA"); n != 2 {
			t.Errorf("counted %d calls", n)
		}
	})
}

func TestSuitesIndependent(t *testing.T) {
	c := newCaller(t, Settings{})
	one, two := c.AddCustomer("wwsuite", "wwA"), c.AddCustomer("wwsuite2", "wwA")
	a := c.authCorp(c.suite("wwsuite", "suite-secret"), "wwA", one).Access
	b := c.authCorp(c.suite("wwsuite2", "suite-secret-2"), "wwA", two).Access
	if one == two || a == b || a == "" || b == "" {
		t.Error("they share a value")
	}
	c.isCode(c.authCorp(c.suite("wwsuite", "suite-secret"), "wwA", two), 40084)
	c.Unauthorize("wwsuite", "wwA")
	c.alive(a, 40014)
	c.alive(b, 0)
	c.isCode(c.authCorp(c.suite("wwsuite", "suite-secret"), "wwA", one), 48004)
	back := c.permanent(PermanentCodeV2, c.suite("wwsuite", "suite-secret"), c.Authorize("wwsuite", "wwA")).Permanent
	if back == one || back == "" {
		t.Error("the old permanent code after a new installation")
	}
	if got := c.authCorp(c.suite("wwsuite", "suite-secret"), "wwA", back).Access; got == a || got == "" {
		t.Error("the old token after a new installation")
	}
}

func TestCustomApps(t *testing.T) {
	for _, kills := range []bool{false, true} {
		bubble(t, Settings{ResetKills: kills, Register: true}, func(c caller) {
			getToken := func(secret string) said { return c.get(CorpToken + "?corpid=wwA&corpsecret=" + secret) }
			token := c.suite("dktemplate", "template-secret")
			got := c.permanent(PermanentCode, token, c.Authorize("dktemplate", "wwA"))
			if got.Permanent == "" || strings.Contains(got.raw, "access_token") || !got.AuthInfo.Agent[0].Customized {
				t.Fatalf("got %s", got.raw)
			}
			a := getToken(got.Permanent)
			c.alive(a.Access, 0)
			if n := c.CallsFor(CorpToken, "dktemplate/wwA"); n != 1 {
				t.Errorf("counted %d calls", n)
			}
			c.isCode(getToken("wrong"), 40001) // and registers no app

			reset := c.ResetPermanentCode("dktemplate", "wwA")
			want := 0
			if kills {
				want = 40001
			}
			c.isCode(getToken(got.Permanent), want)
			if (c.CurrentGrant("dktemplate", "wwA") == got.Permanent) == kills {
				t.Errorf("which code is current before the exchange, ResetKills being %v", kills)
			}
			next := c.permanent(PermanentCodeV2, token, reset).Permanent
			if next == got.Permanent || next != c.CurrentGrant("dktemplate", "wwA") {
				t.Error("a reset without a new code")
			}
			c.isCode(getToken(got.Permanent), 40001)
			c.isCode(getToken(next), 0)

			c.Unauthorize("dktemplate", "wwA")
			c.isCode(getToken(next), 40001)
			c.alive(a.Access, 40014)
			if c.ResetPermanentCode("dktemplate", "wwA") != "" || c.UpdateAuthorized("dktemplate", "wwA") != "" {
				t.Error("a code for a non-customer")
			}
		})
	}
}

func TestBlockReachesCustomApp(t *testing.T) {
	c := newCaller(t, Settings{Limits: Limits{ErrorsPerHour: 3}})
	secret := c.AddCustomer("dktemplate", "wwA")
	c.isCode(c.get(CorpToken+"?corpid=wwA&corpsecret="+secret), 0)
	for range 3 {
		c.isCode(c.get(CorpToken+"?corpid=wwA&corpsecret=wrong"), 40001)
	}
	c.isCode(c.get(CorpToken+"?corpid=wwA&corpsecret="+secret), 45009)
}

func TestSuiteFaults(t *testing.T) {
	var seen []Call
	c := newCaller(t, Settings{OnCall: func(c Call) { seen = append(seen, c) }})
	token, code := c.suite("wwsuite", "suite-secret"), c.Authorize("wwsuite", "wwA")
	c.Inject(Fault{Endpoint: PermanentCodeV2, Account: "wwsuite", NoGrant: true, Times: 1})
	if got := c.permanent(PermanentCodeV2, token, code); got.ErrCode != 0 || !strings.Contains(got.raw, `"permanent_code":""`) {
		t.Errorf("got %s", got.raw)
	}
	c.Inject(Fault{Endpoint: AuthCorpToken, Account: "wwsuite/wwA", Code: -1, Times: 2})
	grant := c.CurrentGrant("wwsuite", "wwA")
	for _, want := range []int{-1, -1, 0} {
		c.isCode(c.authCorp(token, "wwA", grant), want)
	}
	c.isCode(c.authCorp("unknown", "wwA", grant), 40082)
	last, first := seen[len(seen)-1], seen[0]
	if last.Account != "wwA" || last.ErrCode != 40082 || first.Endpoint != SuiteToken || first.Account != "wwsuite" || !first.Issued {
		t.Errorf("seen %+v and %+v", first, last)
	}
}

func TestUnknownOwner(t *testing.T) {
	c := newCaller(t, Settings{})
	for name, f := range map[string]func(){
		"authorize":                  func() { c.Authorize("wx99", "wxA") },
		"an account":                 func() { c.TicketPush("wx01") },
		"verification of a platform": func() { c.Verification("wxplatform") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
