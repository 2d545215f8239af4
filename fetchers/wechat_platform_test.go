package fetchers_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tokend/fetchers"
	"tokend/fetchers/secret"
	"tokend/fetchers/wechattest"
)

const (
	componentKey = "tokendSelfMadeKey0000000000000000000000001Z"
	suiteKey     = "ZmFrZS1zdWl0ZS1rZXktZm9yLXRva2VuZC10ZXN0cz0"
)

// platform is a third-party platform and a suite at an in-process WeChat.
type platform struct {
	w *wechattest.WeChat
	c *fetchers.Client
}

func newPlatform(s wechattest.Settings) platform {
	w, c := newWeChat(s)
	w.AddPlatform("wxc", "component-secret", "selfTok1", componentKey)
	w.AddSuite("wwprovider", "wws", "suite-secret", "selfTok2", suiteKey)
	w.AddSuite("wwprovider", "dks", "template-secret", "selfTok3", suiteKey)
	return platform{w, c}
}

func (p platform) ticket(t *testing.T, owner string) fetchers.Ask {
	t.Helper()
	e, err := open(t, owner, p.w.TicketPush(owner))
	if err != nil || e.Ticket == "" || e.Owner != owner || e.Time.IsZero() {
		t.Fatalf("%s: got an event %q of %q at %v, %v", owner, e.Kind, e.Owner, e.Time, err)
	}
	return fetchers.Ask{Parent: e.Ticket}
}

func (p platform) componentToken(t *testing.T) secret.Text {
	t.Helper()
	return must(t, fetchers.ComponentToken{Client: p.c, AppID: "wxc", Secret: "component-secret"}.Fetch, p.ticket(t, "wxc")).Value
}

func (p platform) suiteToken(t *testing.T, suite, suiteSecret string) secret.Text {
	t.Helper()
	return must(t, fetchers.SuiteToken{Client: p.c, SuiteID: suite, Secret: secret.Text(suiteSecret)}.Fetch, p.ticket(t, suite)).Value
}

// wants fails unless err is an APIError with that errcode and reaction.
func wants(t *testing.T, what string, err error, code int, r fetchers.Reaction) {
	t.Helper()
	e, ok := errors.AsType[*fetchers.APIError](err)
	if !ok || e.Code != code || e.Reaction != r || e.RID == "" {
		t.Errorf("%s: got %v, want %d, %v", what, err, code, r)
	}
}

// The third-party platform, from its ticket to a customer's ticket.
func TestWeChatOpenPlatform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlatform(wechattest.Settings{})
		parent := p.componentToken(t)
		if code := must(t, fetchers.PreAuthCode{Client: p.c, AppID: "wxc"}.Fetch, fetchers.Ask{Parent: parent}); code.ExpiresIn <= 0 {
			t.Errorf("a pre-auth code for %v", code.ExpiresIn)
		}

		code := secret.Text(p.w.Authorize("wxc", "wxa"))
		query := fetchers.QueryAuth{Client: p.c, AppID: "wxc"}
		a, err := query.Exchange(t.Context(), parent, code)
		if err != nil || a.Child != "wxa" || string(a.Grant) != p.w.CurrentGrant("wxc", "wxa") || a.Token == nil || !p.w.Valid(string(a.Token.Value)) {
			t.Fatalf("got %+v, %v", a, err)
		}
		_, err = query.Exchange(t.Context(), parent, code)
		wants(t, "a code that is spent", err, 61009, fetchers.CodeRefused)
		p.w.Inject(wechattest.Fault{Endpoint: wechattest.QueryAuth, NoTokens: true, Times: 1})
		_, err = query.Exchange(t.Context(), parent, secret.Text(p.w.UpdateAuthorized("wxc", "wxa")))
		if api, ok := errors.AsType[*fetchers.APIError](err); !ok || api.Code != 0 || api.Reaction != fetchers.CodeRefused {
			t.Errorf("an account without API permissions: got %v", err)
		}

		f := fetchers.AuthorizerToken{Client: p.c, AppID: "wxc", AuthorizerAppID: "wxa"}.Fetch
		ask := fetchers.Ask{Parent: parent, Grant: a.Grant}
		tok := must(t, f, ask)
		if tok.Grant != a.Grant || tok.ExpiresIn != 2*time.Hour || !p.w.Valid(string(tok.Value)) {
			t.Errorf("got a life of %v; the same grant: %v", tok.ExpiresIn, tok.Grant == a.Grant)
		}
		must(t, fetchers.Ticket{Client: p.c}.Fetch, fetchers.Ask{Parent: tok.Value})
		must(t, fetchers.Ticket{Client: p.c, Type: fetchers.WXCard}.Fetch, fetchers.Ask{Parent: tok.Value})

		_, err = f(t.Context(), fetchers.Ask{Parent: parent, Grant: "another"})
		wants(t, "another refresh token", err, 61023, fetchers.GrantRefused)
		p.w.Kill(string(parent))
		_, err = f(t.Context(), ask)
		wants(t, "a dead component token", err, 40001, fetchers.ParentDead)

		p.w.Unauthorize("wxc", "wxa")
		_, err = f(t.Context(), fetchers.Ask{Parent: p.componentToken(t), Grant: a.Grant})
		wants(t, "no longer authorized", err, 61003, fetchers.GrantRefused)

		if err := (fetchers.StartPush{Client: p.c, AppID: "wxc", Secret: "component-secret"}).Start(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestComponentTokenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlatform(wechattest.Settings{})
		ask := p.ticket(t, "wxc")
		f := fetchers.ComponentToken{Client: p.c, AppID: "wxc", Secret: "component-secret"}
		_, err := f.Fetch(t.Context(), fetchers.Ask{Parent: "never-pushed"})
		wants(t, "a ticket that nobody pushed", err, 61006, fetchers.NewTicket)
		_, err = fetchers.ComponentToken{Client: p.c, AppID: "wxc", Secret: "wrong"}.Fetch(t.Context(), ask)
		wants(t, "a wrong secret", err, 40125, fetchers.Misconfigured)
		_, err = fetchers.ComponentToken{Client: p.c, AppID: "wx01", Secret: "secret-1"}.Fetch(t.Context(), ask)
		wants(t, "no component", err, 61011, fetchers.Misconfigured)
		p.w.SetAddressListed("wxc", false)
		_, err = f.Fetch(t.Context(), ask)
		wants(t, "an address that is not listed", err, 61004, fetchers.AddressRefused)
		if e, ok := errors.AsType[*fetchers.APIError](err); !ok || e.IP != "192.0.2.1" {
			t.Errorf("got %v", err)
		}
		p.w.SetAddressListed("wxc", true)
		time.Sleep(12*time.Hour + time.Second)
		_, err = f.Fetch(t.Context(), ask)
		wants(t, "an old ticket", err, 61005, fetchers.NewTicket)
	})
}

func TestWeChatReplacements(t *testing.T) {
	for _, tt := range []struct {
		name     string
		settings wechattest.Settings
		fault    *wechattest.Fault
		want     func(t fetchers.Token, was secret.Text) bool
	}{
		{"the same", wechattest.Settings{}, nil, func(t fetchers.Token, was secret.Text) bool { return t.Grant == was }},
		{"another", wechattest.Settings{RotateRefreshTokens: true}, nil, func(t fetchers.Token, was secret.Text) bool { return t.Grant != was && t.Grant != "" }},
		{"an empty one", wechattest.Settings{EmptyRefreshTokens: true}, nil, func(t fetchers.Token, _ secret.Text) bool { return t.Grant == "" }},
		{"an empty one by fault", wechattest.Settings{}, &wechattest.Fault{NoGrant: true}, func(t fetchers.Token, _ secret.Text) bool { return t.Grant == "" }},
	} {
		p := newPlatform(tt.settings)
		was := secret.Text(p.w.AddCustomer("wxc", "wxa"))
		parent := p.componentToken(t)
		if tt.fault != nil {
			p.w.Inject(*tt.fault)
		}
		got := must(t, fetchers.AuthorizerToken{Client: p.c, AppID: "wxc", AuthorizerAppID: "wxa"}.Fetch, fetchers.Ask{Parent: parent, Grant: was})
		if !tt.want(got, was) || !p.w.Valid(string(got.Value)) {
			t.Errorf("%s: got it wrong", tt.name)
		}
		if got.Grant != "" && string(got.Grant) != p.w.CurrentGrant("wxc", "wxa") {
			t.Errorf("%s: WeChat considers another one current", tt.name)
		}
	}
}

func TestWeChatList(t *testing.T) {
	for _, empty := range []bool{false, true} {
		p := newPlatform(wechattest.Settings{ListSaysEmpty: empty})
		parent := p.componentToken(t)
		want := map[string]secret.Text{}
		for i := range 1203 {
			appid := fmt.Sprintf("wxa%04d", i)
			want[appid] = secret.Text(p.w.AddCustomer("wxc", appid))
		}
		p.w.Authorize("wxc", "wxnew")
		want["wxnew"] = ""
		got := map[string]secret.Text{}
		var pages []int
		for total := 1; len(got) < total; {
			page, err := fetchers.AuthorizerList{Client: p.c, AppID: "wxc"}.Page(t.Context(), parent, len(got), fetchers.MaxPage)
			if err != nil || len(page.Authorizers) == 0 {
				t.Fatalf("at %d of %d: %v", len(got), total, err)
			}
			total = page.Total
			pages = append(pages, len(page.Authorizers))
			for _, a := range page.Authorizers {
				got[a.AppID] = a.RefreshToken
				if a.AuthTime.IsZero() {
					t.Errorf("%s has no authorization time", a.AppID)
				}
			}
		}
		if !slices.Equal(pages, []int{500, 500, 204}) || len(got) != len(want) {
			t.Errorf("got pages of %v, %d customers", pages, len(got))
		}
		for appid, grant := range want {
			if got[appid] != grant {
				t.Errorf("%s: another refresh token", appid)
			}
		}
	}
}

// The suite of a WeCom provider, from its ticket to a customer's tickets.
func TestWeChatSuite(t *testing.T) {
	for _, silent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlatform(wechattest.Settings{SuitesSayNoErrcode: silent})
			parent := p.suiteToken(t, "wws", "suite-secret")
			must(t, fetchers.SuitePreAuthCode{Client: p.c}.Fetch, fetchers.Ask{Parent: parent})

			code := secret.Text(p.w.Authorize("wws", "wwa"))
			exchange := fetchers.PermanentCode{Client: p.c, SuiteID: "wws"}
			a, err := exchange.Exchange(t.Context(), parent, code)
			if want := (fetchers.Authorization{Child: "wwa", Grant: secret.Text(p.w.CurrentGrant("wws", "wwa"))}); err != nil || a != want || a.Grant == "" {
				t.Fatalf("got %+v, %v", a, err)
			}
			if p.w.Calls(wechattest.PermanentCodeV2) != 1 || p.w.Calls(wechattest.PermanentCode) != 0 {
				t.Error("an ordinary suite used the older path")
			}
			_, err = exchange.Exchange(t.Context(), parent, code)
			wants(t, "a code that is spent", err, 40078, fetchers.CodeRefused)
			_, err = exchange.Exchange(t.Context(), parent, "short")
			wants(t, "a short code", err, 40058, fetchers.CodeRefused)

			f := fetchers.AuthCorpToken{Client: p.c, CorpID: "wwa"}.Fetch
			ask := fetchers.Ask{Parent: parent, Grant: a.Grant}
			tok := must(t, f, ask)
			if tok.ExpiresIn != 2*time.Hour || tok.Grant != "" || !p.w.Valid(string(tok.Value)) {
				t.Errorf("got a life of %v", tok.ExpiresIn)
			}
			must(t, fetchers.CorpTicket{Client: p.c}.Fetch, fetchers.Ask{Parent: tok.Value})
			must(t, fetchers.AgentTicket{Client: p.c}.Fetch, fetchers.Ask{Parent: tok.Value})

			_, err = f(t.Context(), fetchers.Ask{Parent: parent, Grant: "another"})
			wants(t, "another permanent code", err, 40084, fetchers.Reauthorize)
			_, err = f(t.Context(), fetchers.Ask{Parent: "another", Grant: a.Grant})
			wants(t, "another suite token", err, 40082, fetchers.ParentDead)
			p.w.Unauthorize("wws", "wwa")
			_, err = f(t.Context(), ask)
			wants(t, "cancelled", err, 48004, fetchers.Reauthorize)

			time.Sleep(2*time.Hour + time.Second)
			_, err = f(t.Context(), ask)
			wants(t, "an old suite token", err, 42009, fetchers.ParentDead)
		})
	}
}

func TestSuiteTokenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlatform(wechattest.Settings{})
		ask := p.ticket(t, "wws")
		f := fetchers.SuiteToken{Client: p.c, SuiteID: "wws", Secret: "suite-secret"}
		_, err := f.Fetch(t.Context(), p.ticket(t, "dks"))
		wants(t, "another suite's ticket", err, 40085, fetchers.NewTicket)
		_, err = fetchers.SuiteToken{Client: p.c, SuiteID: "wws", Secret: "wrong"}.Fetch(t.Context(), ask)
		wants(t, "a wrong secret", err, 40080, fetchers.Misconfigured)
		p.w.SetAddressListed("wws", false)
		_, err = f.Fetch(t.Context(), ask)
		wants(t, "an address that is not listed", err, 60020, fetchers.AddressRefused)
		p.w.SetAddressListed("wws", true)
		time.Sleep(30*time.Minute + time.Second)
		_, err = f.Fetch(t.Context(), ask)
		wants(t, "an old ticket", err, 40085, fetchers.NewTicket)
	})
}

// A template's app, whose permanent code is its secret.
func TestWeChatTemplate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlatform(wechattest.Settings{})
		parent := p.suiteToken(t, "dks", "template-secret")
		exchange := fetchers.PermanentCode{Client: p.c, SuiteID: "dks"}
		a, err := exchange.Exchange(t.Context(), parent, secret.Text(p.w.Authorize("dks", "wwa")))
		if err != nil || a.Child != "wwa" || a.Grant == "" || a.Token != nil {
			t.Fatalf("got %+v, %v", a, err)
		}
		f := fetchers.CustomAppToken{Client: p.c, CorpID: "wwa"}.Fetch
		tok := must(t, f, fetchers.Ask{Grant: a.Grant})
		if tok.ExpiresIn != 2*time.Hour || !p.w.Valid(string(tok.Value)) {
			t.Errorf("got a life of %v", tok.ExpiresIn)
		}
		must(t, fetchers.CorpTicket{Client: p.c}.Fetch, fetchers.Ask{Parent: tok.Value})

		b, err := exchange.Exchange(t.Context(), parent, secret.Text(p.w.ResetPermanentCode("dks", "wwa")))
		if err != nil || b.Grant == a.Grant {
			t.Fatalf("reset: got %+v, %v", b, err)
		}
		must(t, f, fetchers.Ask{Grant: b.Grant})
		_, err = f(t.Context(), fetchers.Ask{Grant: a.Grant})
		if e, ok := errors.AsType[*fetchers.APIError](err); !ok || e.Reaction != fetchers.Reauthorize {
			t.Errorf("the previous permanent code: got %v", err)
		}
	})
}
