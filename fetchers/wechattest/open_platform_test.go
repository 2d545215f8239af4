package wechattest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// post calls an endpoint with a body of key-value pairs.
func (c caller) post(pathQuery string, pairs ...any) said {
	c.t.Helper()
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	b, err := json.Marshal(m)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.do("POST", pathQuery, string(b))
}

func (c caller) componentTokenBy(ticket string) said {
	c.t.Helper()
	return c.post(ComponentToken, "component_appid", "wxplatform", "component_appsecret", "platform-secret", "component_verify_ticket", ticket)
}

// component fetches a component_access_token with a new ticket.
func (c caller) component() string {
	c.t.Helper()
	s := c.componentTokenBy(c.TicketPush("wxplatform").Event.Ticket)
	c.isCode(s, 0)
	return s.Component
}

func (c caller) queryAuth(token, code string) said {
	c.t.Helper()
	return c.post(QueryAuth+"?component_access_token="+token, "component_appid", "wxplatform", "authorization_code", code)
}

func (c caller) authorizer(token, child, refresh string) said {
	c.t.Helper()
	return c.post(AuthorizerToken+"?component_access_token="+token, "component_appid", "wxplatform", "authorizer_appid", child, "authorizer_refresh_token", refresh)
}

func (c caller) list(token string, offset, count any) said {
	c.t.Helper()
	return c.post(AuthorizerList+"?component_access_token="+token, "component_appid", "wxplatform", "offset", offset, "count", count)
}

func TestComponentTokenRotates(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		ticket := c.TicketPush("wxplatform").Event.Ticket
		a := c.componentTokenBy(ticket)
		if !strings.HasPrefix(ticket, "ticket@@@") || len(ticket) != 95 || a.ExpiresIn != 7200 || len(a.Component) != 157 || strings.Contains(a.raw, "errcode") {
			t.Errorf("got ticket %s, answer %s", ticket, a.raw)
		}
		time.Sleep(time.Minute)
		b := c.componentTokenBy(ticket) // a ticket can be used repeatedly
		if a.Component == b.Component {
			t.Error("the same token twice")
		}
		c.alive(a.Component, 0) // the probe accepts it
		time.Sleep(5 * time.Minute)
		c.alive(a.Component, 40001)
		c.alive(b.Component, 0)
		time.Sleep(2 * time.Hour)
		c.alive(b.Component, 42001)
	})
}

func TestComponentTicketLifetime(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		old := c.TicketPush("wxplatform").Event.Ticket
		time.Sleep(time.Hour)
		c.SetQuirks("wxplatform", Quirks{Age: 11 * time.Hour})
		straggler := c.TicketPush("wxplatform").Event.Ticket
		time.Sleep(time.Hour)
		c.isCode(c.componentTokenBy(straggler), 61005)
		time.Sleep(10*time.Hour - 1)
		c.isCode(c.componentTokenBy(old), 0)
		time.Sleep(time.Nanosecond)
		c.isCode(c.componentTokenBy(old), 61005)
		c.SetQuirks("wxplatform", Quirks{})
		killed := c.TicketPush("wxplatform").Event.Ticket
		c.Kill(killed)
		for name, ticket := range map[string]string{
			"none": "", "never pushed": "ticket@@@x", "of another platform": c.TicketPush("wxother").Event.Ticket,
			"of a suite": c.TicketPush("wwsuite").Event.Ticket, "killed": killed,
		} {
			if got := c.componentTokenBy(ticket); got.ErrCode != 61006 {
				t.Errorf("ticket %s: got errcode %d", name, got.ErrCode)
			}
		}
	})
}

func TestPlatformRefusals(t *testing.T) {
	c := newCaller(t, Settings{})
	token := c.component()
	authorizer := c.authorizer(token, "wxA", c.AddCustomer("wxplatform", "wxA")).Authorizer
	with := func(path string) string { return path + "?component_access_token=" + token }
	tests := []struct {
		method, pathQuery, body string
		want                    int
	}{
		{"GET", ComponentToken, "", 43002},
		{"POST", ComponentToken, "", 41018},
		{"POST", ComponentToken, "component_appid=wxplatform", 41018},
		{"POST", ComponentToken, `{"component_appid":"wx99"}`, 40013},
		{"POST", ComponentToken, `{"component_appid":"wwsuite"}`, 40013},
		{"POST", ComponentToken, `{"component_appid":"wx01"}`, 61011},
		{"POST", ComponentToken, `{"component_appid":"wxplatform"}`, 41004},
		{"POST", ComponentToken, `{"component_appid":"wxplatform","component_appsecret":"x"}`, 40125},
		{"GET", Token + "?grant_type=client_credential&appid=wxplatform&secret=platform-secret", "", 61024},
		{"POST", PreAuthCode, `{"component_appid":"wxplatform"}`, 41001},
		{"POST", PreAuthCode + "?component_access_token=x", `{"component_appid":"wxplatform"}`, 40001},
		{"POST", PreAuthCode + "?component_access_token=" + authorizer, `{"component_appid":"wxplatform"}`, 61014},
		{"POST", with(PreAuthCode), "", 41018},
		{"POST", with(PreAuthCode), `{"component_appid":"wxother"}`, 40013},
		{"GET", Ticket + "?type=jsapi&access_token=" + token, "", 61015},
		{"POST", with(QueryAuth), `{"component_appid":"wxplatform","authorization_code":"x"}`, 61009},
		{"POST", with(QueryAuth), `{"component_appid":"wxplatform","authorization_code":"` + token + `"}`, 61009},
		{"POST", with(AuthorizerToken), `{"component_appid":"wxplatform"}`, 41002},
		{"POST", with(AuthorizerToken), `{"component_appid":"wxplatform","authorizer_appid":"wxB","authorizer_refresh_token":"x"}`, 61003},
		{"POST", with(AuthorizerToken), `{"component_appid":"wxplatform","authorizer_appid":"wxA","authorizer_refresh_token":"x"}`, 61023},
		{"POST", with(AuthorizerToken), `{"component_appid":"wxplatform","authorizer_appid":"wxA"}`, 61023},
		{"POST", with(AuthorizerList), `{"component_appid":"wxplatform","offset":0,"count":501}`, 40170},
		{"POST", with(AuthorizerList), `{"component_appid":"wxplatform","offset":0,"count":0}`, 40097},
		{"POST", with(AuthorizerList), `{"component_appid":"wxplatform","offset":-1,"count":1}`, 40097},
		{"POST", with(AuthorizerList), `{"component_appid":"wxplatform","count":1}`, 40097},
		{"POST", StartPush, `{"component_appid":"wxplatform","component_appsecret":"platform-secret"}`, 41004},
		{"POST", StartPush, `{"component_appid":"wx99","component_secret":"x"}`, 40013},
	}
	for _, tt := range tests {
		if got := c.do(tt.method, tt.pathQuery, tt.body); got.ErrCode != tt.want || got.ErrMsg == "" || strings.HasPrefix(got.ErrMsg, "error ") {
			t.Errorf("%s %.60s %s: got errcode %d %q, want %d", tt.method, tt.pathQuery, tt.body, got.ErrCode, got.ErrMsg, tt.want)
		}
	}
	c.SetAddressListed("wxplatform", false)
	for _, got := range []said{
		c.componentTokenBy(c.TicketPush("wxplatform").Event.Ticket),
		c.authorizer(token, "wxA", c.CurrentGrant("wxplatform", "wxA")),
	} {
		if got.ErrCode != 61004 || !strings.Contains(got.ErrMsg, "requestIP: 192.0.2.1 rid: ") {
			t.Errorf("got errcode %d %s", got.ErrCode, got.ErrMsg)
		}
	}
	c.SetAddressListed("wxplatform", true)
	c.component()
}

func TestComponentTokenParameter(t *testing.T) {
	c := newCaller(t, Settings{})
	token := c.component()
	a := c.post(PreAuthCode+"?component_access_token="+token, "component_appid", "wxplatform")
	b := c.post(PreAuthCode+"?access_token="+token, "component_appid", "wxplatform")
	if a.PreAuth == "" || b.PreAuth == "" || a.PreAuth == b.PreAuth || a.ExpiresIn != 1800 {
		t.Errorf("got %s and %s", a.raw, b.raw)
	}
}

func TestAuthorization(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		token := c.component()
		code := c.Authorize("wxplatform", "wxA")
		got := c.queryAuth(token, code)
		in := got.Info
		if in == nil || in.AuthorizerID != "wxA" || in.ExpiresIn != 7200 || in.Refresh != c.CurrentGrant("wxplatform", "wxA") ||
			len(in.Refresh) != 58 || !strings.Contains(got.raw, `"func_info":[{`) || strings.Contains(got.raw, "errcode") {
			t.Fatalf("got %s", got.raw)
		}
		c.alive(in.Authorizer, 0)
		c.isCode(c.queryAuth(token, code), 61009) // it can be used once

		// The account's tickets need its token.
		ticket := c.get(Ticket + "?type=jsapi&access_token=" + in.Authorizer)
		if ticket.Ticket == "" || c.CallsFor(Ticket, "wxplatform/wxA") != 1 {
			t.Errorf("got %s, %d calls counted", ticket.raw, c.CallsFor(Ticket, "wxplatform/wxA"))
		}

		time.Sleep(time.Hour)
		next := c.authorizer(token, "wxA", in.Refresh)
		if next.Authorizer == in.Authorizer || next.Refresh != in.Refresh || next.ExpiresIn != 7200 {
			t.Errorf("got %s", next.raw)
		}
		c.alive(in.Authorizer, 0)
		time.Sleep(5 * time.Minute)
		c.alive(in.Authorizer, 40001)
		c.alive(next.Authorizer, 0)

		late, foreign := c.Authorize("wxplatform", "wxB"), c.Authorize("wxother", "wxB")
		c.isCode(c.queryAuth(token, foreign), 61009)
		time.Sleep(30*time.Minute - 1)
		again := c.UpdateAuthorized("wxplatform", "wxA")
		time.Sleep(30*time.Minute + 1)
		token = c.component()
		c.isCode(c.queryAuth(token, late), 61010)
		if got := c.queryAuth(token, again); got.Info == nil || got.Info.Refresh != in.Refresh {
			t.Errorf("after a change of permissions: got %s", got.raw)
		}
		if c.CurrentGrant("wxplatform", "wxB") == c.CurrentGrant("wxother", "wxB") {
			t.Error("two platforms share a grant")
		}
	})
}

func TestUnauthorize(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		token := c.component()
		code := c.Authorize("wxplatform", "wxA")
		first := c.queryAuth(token, c.UpdateAuthorized("wxplatform", "wxA")).Info
		other := c.authorizer(token, "wxB", c.AddCustomer("wxplatform", "wxB"))
		ticket := c.get(Ticket + "?type=jsapi&access_token=" + first.Authorizer).Ticket

		c.Unauthorize("wxplatform", "wxA")
		c.alive(first.Authorizer, 40001)
		if c.Valid(ticket) || c.CurrentGrant("wxplatform", "wxA") != "" {
			t.Error("a value of the customer is still valid")
		}
		c.isCode(c.authorizer(token, "wxA", first.Refresh), 61003)
		c.isCode(c.queryAuth(token, code), 61009)
		if got := c.list(token, 0, 10); got.Total != 1 || got.List[0].AppID != "wxB" {
			t.Errorf("got %s", got.raw)
		}
		c.alive(other.Authorizer, 0)
		if c.UpdateAuthorized("wxplatform", "wxA") != "" {
			t.Error("a non-customer changed its permissions")
		}

		back := c.queryAuth(token, c.Authorize("wxplatform", "wxA")).Info
		if back == nil || back.Refresh == first.Refresh {
			t.Fatal("the old grant after a new authorization")
		}
		c.isCode(c.queryAuth(token, code), 61009)
		c.isCode(c.authorizer(token, "wxA", first.Refresh), 61023)
		c.isCode(c.authorizer(token, "wxA", back.Refresh), 0)
		if again := c.get(Ticket + "?type=jsapi&access_token=" + back.Authorizer).Ticket; again == ticket {
			t.Error("the old ticket after a new authorization")
		}
	})
}

func TestRotatingRefreshTokens(t *testing.T) {
	bubble(t, Settings{RotateRefreshTokens: true}, func(c caller) {
		token := c.component()
		first := c.AddCustomer("wxplatform", "wxA")
		a := c.authorizer(token, "wxA", first)
		if a.Refresh == first || a.Refresh != c.CurrentGrant("wxplatform", "wxA") {
			t.Fatalf("got %s", a.raw)
		}
		time.Sleep(5*time.Minute - 1)
		if b := c.authorizer(token, "wxA", first); b.Refresh != a.Refresh || b.Authorizer == "" {
			t.Errorf("the old refresh token within the overlap: got %s", b.raw)
		}
		time.Sleep(time.Nanosecond)
		c.isCode(c.authorizer(token, "wxA", first), 61023)
		b := c.authorizer(token, "wxA", a.Refresh)
		d := c.authorizer(token, "wxA", b.Refresh)
		c.isCode(c.authorizer(token, "wxA", a.Refresh), 61023) // only the newest two are accepted
		c.isCode(c.authorizer(token, "wxA", b.Refresh), 0)
		if l := c.list(token, 0, 1); *l.List[0].Refresh != d.Refresh {
			t.Errorf("the list does not have the current one")
		}

		// A call whose answer is lost has rotated the token.
		before := c.CurrentGrant("wxplatform", "wxA")
		c.Inject(Fault{Endpoint: AuthorizerToken, Account: "wxplatform/wxA", Lost: true, Times: 1})
		if _, err := c.Client().Post("https://wechat.test"+AuthorizerToken+"?component_access_token="+token, "",
			strings.NewReader(`{"component_appid":"wxplatform","authorizer_appid":"wxA","authorizer_refresh_token":"`+before+`"}`)); err == nil {
			t.Error("the answer was not lost")
		}
		if c.CurrentGrant("wxplatform", "wxA") == before {
			t.Error("nothing was rotated")
		}
	})
}

func TestRotationAtEachCall(t *testing.T) {
	bubble(t, Settings{RotateEachCall: true}, func(c caller) {
		token := c.component()
		first := c.AddCustomer("wxplatform", "wxA")
		a := c.authorizer(token, "wxA", first)
		time.Sleep(2 * time.Minute)
		b := c.authorizer(token, "wxA", first)
		if b.Refresh == a.Refresh || b.Refresh != c.CurrentGrant("wxplatform", "wxA") {
			t.Errorf("the old refresh token: got %s, want another new one", b.raw)
		}
		time.Sleep(3 * time.Minute)
		c.isCode(c.authorizer(token, "wxA", first), 61023) // replaced 5 min ago
		c.isCode(c.authorizer(token, "wxA", a.Refresh), 0)
		time.Sleep(5 * time.Minute)
		c.isCode(c.authorizer(token, "wxA", a.Refresh), 61023)
		c.isCode(c.authorizer(token, "wxA", b.Refresh), 61023)
		c.isCode(c.authorizer(token, "wxA", c.CurrentGrant("wxplatform", "wxA")), 0)
	})
}

func TestEmptyReplacements(t *testing.T) {
	c := newCaller(t, Settings{EmptyRefreshTokens: true})
	token, grant := c.component(), c.AddCustomer("wxplatform", "wxA")
	if got := c.authorizer(token, "wxA", grant); got.Authorizer == "" || !strings.Contains(got.raw, `"authorizer_refresh_token":""`) {
		t.Errorf("got %s", got.raw)
	}
	c.isCode(c.authorizer(token, "wxA", grant), 0)

	c = newCaller(t, Settings{})
	token, code := c.component(), c.Authorize("wxplatform", "wxA")
	c.Inject(Fault{Endpoint: QueryAuth, NoGrant: true, NoValue: true, ExpiresIn: "60"})
	got := c.queryAuth(token, code)
	if !strings.Contains(got.raw, `{"authorization_info":{"authorizer_access_token":"","expires_in":60,"authorizer_refresh_token":"",`) {
		t.Errorf("got %s", got.raw)
	}
}

func TestAuthorizerList(t *testing.T) {
	for _, empty := range []bool{false, true} {
		bubble(t, Settings{ListSaysEmpty: empty}, func(c caller) {
			token := c.component()
			for i := range 1203 {
				c.AddCustomer("wxplatform", fmt.Sprintf("wx%04d", i))
			}
			code := c.Authorize("wxplatform", "wxlast")
			seen := map[string]bool{}
			var last listing
			for offset := 0; ; offset += 500 {
				page := c.list(token, offset, 500)
				if page.Total != 1204 || strings.Contains(page.raw, "errcode") {
					t.Fatalf("page at %d: %d in all, %.80s", offset, page.Total, page.raw)
				}
				if len(page.List) == 0 {
					break
				}
				for _, last = range page.List {
					seen[last.AppID] = true
					if last.AppID != "wxlast" && *last.Refresh != c.CurrentGrant("wxplatform", last.AppID) || last.Time != time.Now().Unix() {
						t.Fatalf("got %+v", last)
					}
				}
			}
			if len(seen) != 1204 || last.AppID != "wxlast" || (last.Refresh != nil) != empty || empty && *last.Refresh != "" {
				t.Errorf("%d customers, the last %+v", len(seen), last)
			}
			c.queryAuth(token, code)
			if page := c.list(token, 1203, 1); page.List[0].Refresh == nil || *page.List[0].Refresh == "" {
				t.Error("no refresh token after the exchange")
			}
			c.Hide("wxplatform", "wx0001")
			if page := c.list(token, 0, 3); page.Total != 1204 || len(page.List) != 2 || page.List[1].AppID != "wx0002" {
				t.Errorf("with one hidden: %d in all, listed %+v", page.Total, page.List)
			}
		})
	}
}

func TestPlatformCalls(t *testing.T) {
	c := newCaller(t, Settings{})
	token := c.component()
	c.authorizer(token, "wxA", c.AddCustomer("wxplatform", "wxA"))
	c.authorizer(token, "wxA", c.CurrentGrant("wxplatform", "wxA"))
	c.queryAuth(token, "x")
	for k, want := range map[[2]string]int{
		{ComponentToken, "wxplatform"}: 1, {AuthorizerToken, "wxplatform/wxA"}: 2, {QueryAuth, "wxplatform"}: 1,
	} {
		if got := c.CallsFor(k[0], k[1]); got != want {
			t.Errorf("%v: got %d calls, want %d", k, got, want)
		}
	}
	authorizer := c.authorizer(token, "wxA", c.CurrentGrant("wxplatform", "wxA")).Authorizer
	c.KillAll("wxplatform/wxA")
	c.alive(authorizer, 40001)
	c.alive(token, 0)
	c.KillAll("wxplatform")
	c.alive(token, 40001)
}
