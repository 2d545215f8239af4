package fetchers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"tokend/fetchers/secret"
)

// fetchFunc makes a function a fetcher.
type fetchFunc func(context.Context, Ask) (Token, error)

func (f fetchFunc) Fetch(ctx context.Context, ask Ask) (Token, error) { return f(ctx, ask) }

// exchanging is an exchange with a textual result: customer, grant, and whether there was a token.
func exchanging(exchange func(context.Context, secret.Text, secret.Text) (Authorization, error)) fetcher {
	return fetchFunc(func(ctx context.Context, ask Ask) (Token, error) {
		a, err := exchange(ctx, ask.Parent, ask.Grant)
		if err != nil {
			if a != (Authorization{}) {
				panic("an authorization beside an error")
			}
			return Token{}, err
		}
		t := Token{Value: secret.Text(a.Child), Grant: a.Grant}
		if a.Token != nil {
			t.Value += ":" + a.Token.Value
			t.ExpiresIn = a.Token.ExpiresIn
		}
		return t, nil
	})
}

func listing(l AuthorizerList) fetcher {
	return fetchFunc(func(ctx context.Context, ask Ask) (Token, error) {
		page, err := l.Page(ctx, ask.Parent, 1000, MaxPage)
		if err != nil {
			return Token{}, err
		}
		var t Token
		for _, a := range page.Authorizers {
			t.Value += secret.Text(a.AppID+" ") + a.RefreshToken + secret.Text(a.AuthTime.UTC().Format(" 2006 "))
		}
		t.ExpiresIn = time.Duration(page.Total)
		return t, nil
	})
}

// platformKinds are the fetchers and other calls of platforms and providers.
func platformKinds() []kind {
	const component, service = "https://api.weixin.qq.com/cgi-bin/component/", "https://qyapi.weixin.qq.com/cgi-bin/service/"
	s, p, g := string(canarySecret), string(canaryParent), string(canaryGrant)
	token, suite := url.Values{"component_access_token": {p}}, url.Values{"suite_access_token": {p}}
	started := Token{Value: "started"}
	return []kind{
		{name: "component token", field: "component_access_token", method: "POST", url: component + "api_component_token", child: true,
			make: func(c *Client) fetcher { return ComponentToken{Client: c, AppID: "wxc", Secret: canarySecret} },
			body: map[string]any{"component_appid": "wxc", "component_appsecret": s, "component_verify_ticket": p}},
		{name: "pre-auth code", field: "pre_auth_code", method: "POST", url: component + "api_create_preauthcode", child: true,
			make:  func(c *Client) fetcher { return PreAuthCode{Client: c, AppID: "wxc"} },
			query: token, body: map[string]any{"component_appid": "wxc"}},
		{name: "authorizer token", field: "authorizer_access_token", method: "POST", url: component + "api_authorizer_token", child: true, grant: true,
			make:  func(c *Client) fetcher { return AuthorizerToken{Client: c, AppID: "wxc", AuthorizerAppID: "wxa"} },
			query: token, body: map[string]any{"component_appid": "wxc", "authorizer_appid": "wxa", "authorizer_refresh_token": g},
			answer: `{"authorizer_access_token":"value-1","expires_in":7200,"authorizer_refresh_token":"refresh-2"}`,
			want:   Token{Value: "value-1", ExpiresIn: 7200e9, Grant: "refresh-2"}},
		{name: "query auth", method: "POST", url: component + "api_query_auth", child: true, grant: true,
			make:  func(c *Client) fetcher { return exchanging(QueryAuth{Client: c, AppID: "wxc"}.Exchange) },
			query: token, body: map[string]any{"component_appid": "wxc", "authorization_code": g},
			answer: `{"authorization_info":{"authorizer_appid":"wxa","authorizer_access_token":"value-1","expires_in":7200,"authorizer_refresh_token":"refresh-1"}}`,
			want:   Token{Value: "wxa:value-1", ExpiresIn: 7200e9, Grant: "refresh-1"}},
		{name: "authorizer list", method: "POST", url: component + "api_get_authorizer_list", child: true,
			make:  func(c *Client) fetcher { return listing(AuthorizerList{Client: c, AppID: "wxc"}) },
			query: token, body: map[string]any{"component_appid": "wxc", "offset": 1000.0, "count": 500.0},
			answer: `{"total_count":7,"list":[{"authorizer_appid":"wxa","refresh_token":"refresh-1","auth_time":1558000607},{"authorizer_appid":"wxb"}]}`,
			want:   Token{Value: "wxa refresh-1 2019 wxb  0001 ", ExpiresIn: 7}},
		{name: "start push", method: "POST", url: component + "api_start_push_ticket",
			make: func(c *Client) fetcher {
				return fetchFunc(func(ctx context.Context, _ Ask) (Token, error) {
					if err := (StartPush{Client: c, AppID: "wxc", Secret: canarySecret}).Start(ctx); err != nil {
						return Token{}, err
					}
					return started, nil
				})
			},
			body:   map[string]any{"component_appid": "wxc", "component_secret": s},
			answer: `{"errcode":0,"errmsg":"in a normal state"}`, want: started},

		{name: "suite token", field: "suite_access_token", method: "POST", url: service + "get_suite_token", child: true, work: true,
			make: func(c *Client) fetcher { return SuiteToken{Client: c, SuiteID: "wws", Secret: canarySecret} },
			body: map[string]any{"suite_id": "wws", "suite_secret": s, "suite_ticket": p}},
		{name: "suite's pre-auth code", field: "pre_auth_code", method: "GET", url: service + "get_pre_auth_code", child: true, work: true,
			make: func(c *Client) fetcher { return SuitePreAuthCode{Client: c} }, query: suite},
		{name: "auth corp token", field: "access_token", method: "POST", url: service + "get_corp_token", child: true, grant: true, work: true,
			make:  func(c *Client) fetcher { return AuthCorpToken{Client: c, CorpID: "wwa"} },
			query: suite, body: map[string]any{"auth_corpid": "wwa", "permanent_code": g}},
		{name: "custom app token", field: "access_token", method: "GET", url: "https://qyapi.weixin.qq.com/cgi-bin/gettoken", grant: true, work: true,
			make:  func(c *Client) fetcher { return CustomAppToken{Client: c, CorpID: "wwa"} },
			query: url.Values{"corpid": {"wwa"}, "corpsecret": {g}}},
		{name: "permanent code", method: "POST", url: service + "v2/get_permanent_code", child: true, grant: true, work: true,
			make:  func(c *Client) fetcher { return exchanging(PermanentCode{Client: c, SuiteID: "wws"}.Exchange) },
			query: suite, body: map[string]any{"auth_code": g},
			answer: `{"errcode":0,"permanent_code":"permanent-1","auth_corp_info":{"corpid":"wwa","corp_name":"A"}}`,
			want:   Token{Value: "wwa", Grant: "permanent-1"}},
		{name: "permanent code of a template", method: "POST", url: service + "get_permanent_code", child: true, grant: true, work: true,
			make:  func(c *Client) fetcher { return exchanging(PermanentCode{Client: c, SuiteID: "dks"}.Exchange) },
			query: suite, body: map[string]any{"auth_code": g},
			answer: `{"access_token":"value-1","expires_in":7200,"permanent_code":"permanent-1","auth_corp_info":{"corpid":"wwa"}}`,
			want:   Token{Value: "wwa:value-1", ExpiresIn: 7200e9, Grant: "permanent-1"}},
	}
}

// paths returns a transport that answers by path: 404 for unknown ones, and 502 if the answer is
// empty. It also returns the called paths.
func paths(answers map[string]string) (roundTripFunc, *[]string) {
	var called []string
	return func(r *http.Request) (*http.Response, error) {
		called = append(called, r.URL.Path)
		answer, ok := answers[r.URL.Path]
		if !ok {
			return answering(404, strings.NewReader("no such page"))(r)
		}
		if answer == "" {
			return answering(502, strings.NewReader("bad gateway"))(r)
		}
		return answering(200, strings.NewReader(answer))(r)
	}, &called
}

func TestPermanentCodePaths(t *testing.T) {
	const (
		v1   = "/cgi-bin/service/get_permanent_code"
		v2   = "/cgi-bin/service/v2/get_permanent_code"
		good = `{"permanent_code":"permanent-1","auth_corp_info":{"corpid":"wwa"}}`
	)
	tests := []struct {
		name    string
		suite   string
		answers map[string]string
		called  []string
		good    bool
	}{
		{"both exist", "wws", map[string]string{v1: good, v2: good}, []string{v2}, true},
		{"only the older exists", "wws", map[string]string{v1: good}, []string{v2, v1}, true},
		{"neither exists", "wws", nil, []string{v2, v1}, false},
		{"the newer rejects", "wws", map[string]string{v1: good, v2: `{"errcode":40078}`}, []string{v2}, false},
		{"an intermediary fails", "wws", map[string]string{v1: good, v2: ""}, []string{v2}, false},
		{"invalid answer of the newer", "wws", map[string]string{v1: good, v2: "{}"}, []string{v2}, false},
		{"a template", "dks", map[string]string{v1: good, v2: good}, []string{v1}, true},
		{"a template, no older path", "dks", map[string]string{v2: good}, []string{v1}, false},
	}
	for _, tt := range tests {
		transport, called := paths(tt.answers)
		c := &Client{Transport: transport}
		a, err := PermanentCode{Client: c, SuiteID: tt.suite}.Exchange(t.Context(), "suite-token", "code")
		if want := (Authorization{Child: "wwa", Grant: "permanent-1"}); (err == nil) != tt.good || tt.good && a != want {
			t.Errorf("%s: got %+v, %v", tt.name, a, err)
		}
		if !slices.Equal(*called, tt.called) {
			t.Errorf("%s:\n called %q\nwant %q", tt.name, *called, tt.called)
		}
	}
}

// A grant must not be lost because of other values in the answer: its code is used up.
func TestTokenWithGrant(t *testing.T) {
	tests := []struct {
		name, with string
		want       *Token
	}{
		{"none", ``, nil},
		{"one", `,"access_token":"a","expires_in":60`, &Token{Value: "a", ExpiresIn: time.Minute}},
		{"without expires_in", `,"access_token":"a"`, nil},
		{"with an absurd expires_in", `,"access_token":"a","expires_in":1e12`, nil},
		{"empty", `,"access_token":"","expires_in":7200`, nil},
		{"with a malformed token", `,"access_token":"a b","expires_in":7200`, nil},
	}
	for _, tt := range tests {
		c := &Client{Transport: answering(200, strings.NewReader(
			`{"permanent_code":"permanent-1","auth_corp_info":{"corpid":"wwa"}`+tt.with+`}`))}
		a, err := PermanentCode{Client: c, SuiteID: "dks"}.Exchange(t.Context(), "suite-token", "code")
		if err != nil || a.Grant != "permanent-1" || (a.Token == nil) != (tt.want == nil) || a.Token != nil && *a.Token != *tt.want {
			t.Errorf("%s: got %+v, %v", tt.name, a, err)
		}
	}
}

func TestGrantReplaced(t *testing.T) {
	tests := []struct {
		name, with string
		want       secret.Text
		err        string
	}{
		{"another", `,"authorizer_refresh_token":"refresh-2"`, "refresh-2", ""},
		{"none", ``, "", ""},
		{"null", `,"authorizer_refresh_token":null`, "", ""},
		{"empty", `,"authorizer_refresh_token":""`, "", ""},
		{"not a string", `,"authorizer_refresh_token":7`, "", "authorizer_refresh_token is not a string"},
		{"blank", `,"authorizer_refresh_token":" "`, "", "authorizer_refresh_token contains invalid characters"},
	}
	for _, tt := range tests {
		c := &Client{Transport: answering(200, strings.NewReader(`{"authorizer_access_token":"a","expires_in":7200`+tt.with+`}`))}
		got, err := AuthorizerToken{Client: c}.Fetch(t.Context(), Ask{Parent: "p", Grant: "g"})
		if tt.err != "" {
			if te := mustTransportError(t, err); te.Err.Error() != tt.err || got != (Token{}) {
				t.Errorf("%s: got %+v, %v", tt.name, got, err)
			}
			continue
		}
		if want := (Token{Value: "a", ExpiresIn: 2 * time.Hour, Grant: tt.want}); err != nil || got != want {
			t.Errorf("%s: got %v, %v", tt.name, got, err)
		}
	}
}

func TestPlatformNonsense(t *testing.T) {
	byName := map[string]kind{}
	for _, k := range platformKinds() {
		byName[k.name] = k
	}
	tests := []struct{ kind, answer, want string }{
		{"query auth", `{}`, "the answer has no authorization_info"},
		{"query auth", `{"authorization_info":[]}`, "in authorization_info: the answer is not a JSON object"},
		{"query auth", `{"authorization_info":{}}`, "the answer has no authorizer_appid"},
		{"query auth", `{"authorization_info":{"authorizer_appid":"a/b","authorizer_refresh_token":"r"}}`, "authorizer_appid is not a valid ID"},
		{"query auth", `{"authorization_info":{"authorizer_appid":"","authorizer_refresh_token":"r"}}`, "authorizer_appid is not a valid ID"},
		{"query auth", `{"authorization_info":{"authorizer_appid":"` + strings.Repeat("a", 65) + `","authorizer_refresh_token":"r"}}`, "authorizer_appid is not a valid ID"},
		{"query auth", `{"authorization_info":{"authorizer_appid":"wxa","authorizer_refresh_token":"r s"}}`, "authorizer_refresh_token contains invalid characters"},
		{"query auth", `{"authorization_info":{"authorizer_appid":"wxa","authorizer_appid":"wxb","authorizer_refresh_token":"r"}}`,
			"authorizer_appid occurs twice with different values"},
		{"permanent code", `{"permanent_code":"p"}`, "the answer has no auth_corp_info"},
		{"permanent code", `{"permanent_code":"p","auth_corp_info":{"corpid":7}}`, "corpid is not a string"},
		{"permanent code", `{"permanent_code":"p q","auth_corp_info":{"corpid":"wwa"}}`, "permanent_code contains invalid characters"},
		{"authorizer list", `{}`, "the answer has no total_count"},
		{"authorizer list", `{"total_count":-1,"list":[]}`, "total_count is not a whole number"},
		{"authorizer list", `{"total_count":1.5,"list":[]}`, "total_count is not a whole number"},
		{"authorizer list", `{"total_count":1e300,"list":[]}`, "total_count is not a whole number"},
		{"authorizer list", `{"total_count":1}`, "the answer has no list"},
		{"authorizer list", `{"total_count":1,"list":{}}`, "list is not a list"},
		{"start push", `{}`, "the answer has no errcode"},
		{"start push", `{"errcode":null}`, "the answer has no errcode"},
		{"component token", `{"access_token":"a","expires_in":7200}`, "the answer has no component_access_token"},
		{"pre-auth code", `{"pre_auth_code":"a","expires_in":0}`, "expires_in is not positive"},
		{"suite token", `{"suite_access_token":"","expires_in":7200}`, "suite_access_token is empty"},
	}
	for _, tt := range tests {
		k, ok := byName[tt.kind]
		if !ok {
			t.Fatalf("no kind %q", tt.kind)
		}
		_, err := k.make(&Client{Transport: answering(200, strings.NewReader(tt.answer))}).Fetch(t.Context(), k.ask())
		te := mustTransportError(t, err)
		if te.Err.Error() != tt.want || !te.Sent {
			t.Errorf("%s: %s\n got %v, sent %v\nwant %s", tt.kind, tt.answer, te.Err, te.Sent, tt.want)
		}
	}
}

func TestEmptyList(t *testing.T) {
	for _, answer := range []string{`{"total_count":0}`, `{"total_count":0,"list":null}`, `{"total_count":0,"list":[]}`, `{"total_count":"9","list":[]}`} {
		page, err := AuthorizerList{Client: &Client{Transport: answering(200, strings.NewReader(answer))}}.Page(t.Context(), "token", 9, 1)
		if err != nil || len(page.Authorizers) != 0 {
			t.Errorf("%s: got %+v, %v", answer, page, err)
		}
	}
}

func TestPageBounds(t *testing.T) {
	transport, called := paths(nil)
	l := AuthorizerList{Client: &Client{Transport: transport}}
	for _, at := range [][2]int{{-1, 1}, {0, 0}, {0, -1}, {0, MaxPage + 1}} {
		_, err := l.Page(t.Context(), "token", at[0], at[1])
		if te := mustTransportError(t, err); te.Sent {
			t.Errorf("offset %d, count %d: Sent", at[0], at[1])
		}
	}
	if len(*called) > 0 {
		t.Errorf("called %q", *called)
	}
}

// The reactions of whole calls: how an endpoint interprets a code.
func TestPlatformReactions(t *testing.T) {
	byName := map[string]kind{}
	for _, k := range kinds() {
		byName[k.name] = k
	}
	tests := []struct {
		kind string
		want Reaction
		code []int
	}{
		{"component token", NewTicket, []int{61005, 61006}},
		{"component token", Misconfigured, []int{40001, 40013, 40125, 48001, 61000, 61001, 61011}},
		{"component token", AddressRefused, []int{61004}},
		{"component token", QuotaDay, []int{45009}},
		{"component token", Malformed, []int{41004, 41018, 47001}},
		{"component token", Retry, []int{-1}},
		{"pre-auth code", ParentDead, []int{40001, 40014, 42001, 42006}},
		{"pre-auth code", Malformed, []int{61014}},
		{"pre-auth code", AddressRefused, []int{61004}},
		{"authorizer token", ParentDead, []int{40001, 40014, 42001, 42006}},
		{"authorizer token", GrantRefused, []int{61003, 61023}},
		{"authorizer token", Reauthorize, []int{42007}},
		{"authorizer token", Misconfigured, []int{61007, 61016, 61017, 61028, 42009, 48004}},
		{"authorizer token", AddressRefused, []int{61004}},
		{"query auth", CodeRefused, []int{61009, 61010}},
		{"query auth", ParentDead, []int{40001, 42001}},
		{"query auth", Reauthorize, []int{61003, 61023}},
		{"authorizer list", ParentDead, []int{40001, 42001}},
		{"authorizer list", Malformed, []int{40170}},
		{"start push", Misconfigured, []int{40013, 40001, 42001}},
		{"jsapi ticket", Reauthorize, []int{61003, 42007}},
		{"jsapi ticket", Misconfigured, []int{61007}},

		{"suite token", NewTicket, []int{40085}},
		{"suite token", Misconfigured, []int{40080, 40083, 40082, 42009, 40086}},
		{"suite token", AddressRefused, []int{60020}},
		{"suite token", Malformed, []int{41021, 41023, 41024}},
		{"suite's pre-auth code", ParentDead, []int{40082, 42009}},
		{"suite's pre-auth code", Malformed, []int{41022}},
		{"auth corp token", ParentDead, []int{40014, 40082, 42001, 42009}},
		{"auth corp token", Reauthorize, []int{40084, 48004}},
		{"auth corp token", Misconfigured, []int{40001, 48003, 710000}},
		{"auth corp token", QuotaMinute, []int{45009}},
		{"auth corp token", Malformed, []int{41025, 42007}},
		{"custom app token", Reauthorize, []int{40001, 40084, 40091, 48004}},
		{"custom app token", Misconfigured, []int{40013, 40014, 40082, 42009, 50003}},
		{"corp token", Misconfigured, []int{40001, 40091}},
		{"permanent code", CodeRefused, []int{40058, 40078, 42008}},
		{"permanent code", ParentDead, []int{40082, 42009}},
		{"permanent code", Retry, []int{-1, 45033}},
		{"permanent code of a template", CodeRefused, []int{40058, 40078, 42008}},
		{"corp ticket", Reauthorize, []int{40084, 48004}},
		{"corp ticket", Malformed, []int{40058}},
	}
	for _, tt := range tests {
		k, ok := byName[tt.kind]
		if !ok {
			t.Fatalf("no kind %q", tt.kind)
		}
		for _, code := range tt.code {
			refusal := fmt.Sprintf(`{"errcode":%d,"errmsg":"refused"}`, code)
			_, err := k.make(&Client{Transport: answering(200, strings.NewReader(refusal))}).Fetch(t.Context(), k.ask())
			e, ok := errors.AsType[*APIError](err)
			if !ok {
				t.Fatalf("%d at %s: got %v", code, tt.kind, err)
			}
			if e.Code != code || e.Reaction != tt.want {
				t.Errorf("%d at %s: got %v, want %v", code, tt.kind, e.Reaction, tt.want)
			}
		}
	}
}
