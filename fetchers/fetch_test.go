package fetchers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tokend/fetchers/secret"
)

// Values that no error may show. Special characters give them other forms in queries and in JSON.
const (
	canarySecret = secret.Text("canary/Secret+1&<2>")
	canaryParent = secret.Text("canary-Parent=%41_3")
	canaryGrant  = secret.Text(`canary"Grant\\+4~`)
)

// fetcher is the engine's view of every kind.
type fetcher interface {
	Fetch(context.Context, Ask) (Token, error)
}

var (
	_ fetcher = StableToken{}
	_ fetcher = AccessToken{}
	_ fetcher = Ticket{}
	_ fetcher = CorpToken{}
	_ fetcher = CorpTicket{}
	_ fetcher = AgentTicket{}
	_ fetcher = DownstreamToken{}
	_ fetcher = ProviderToken{}
	_ fetcher = ComponentToken{}
	_ fetcher = PreAuthCode{}
	_ fetcher = AuthorizerToken{}
	_ fetcher = SuiteToken{}
	_ fetcher = SuitePreAuthCode{}
	_ fetcher = AuthCorpToken{}
	_ fetcher = CustomAppToken{}
)

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering returns a transport that answers everything with status and body.
func answering(status int, body io.Reader) roundTripFunc {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(body), ContentLength: -1, Request: r}, nil
	}
}

// kind is a fetcher and the request that it must send.
type kind struct {
	name   string
	make   func(*Client) fetcher
	field  string // the credential's key in the answer
	method string
	url    string // without the query
	query  url.Values
	body   map[string]any
	answer string // WeChat's answer; derived from field if empty
	want   Token  // the result; value-1 for 7200 s if zero
	force  bool
	child  bool // made with a token or a pushed ticket
	grant  bool // made with a grant or a code
	work   bool
}

func kinds() []kind {
	const oa, qy = "https://api.weixin.qq.com", "https://qyapi.weixin.qq.com"
	s, p := string(canarySecret), string(canaryParent)
	stable := func(c *Client) fetcher { return StableToken{Client: c, AppID: "wx01", Secret: canarySecret} }
	return append(platformKinds(), []kind{
		{name: "stable token", make: stable, field: "access_token", method: "POST", url: oa + "/cgi-bin/stable_token",
			body: map[string]any{"grant_type": "client_credential", "appid": "wx01", "secret": s, "force_refresh": false}},
		{name: "stable token by force", make: stable, field: "access_token", method: "POST", url: oa + "/cgi-bin/stable_token", force: true,
			body: map[string]any{"grant_type": "client_credential", "appid": "wx01", "secret": s, "force_refresh": true}},
		{name: "access token", field: "access_token", method: "GET", url: oa + "/cgi-bin/token",
			make:  func(c *Client) fetcher { return AccessToken{Client: c, AppID: "wx01", Secret: canarySecret} },
			query: url.Values{"grant_type": {"client_credential"}, "appid": {"wx01"}, "secret": {s}}},
		{name: "jsapi ticket", field: "ticket", method: "GET", url: oa + "/cgi-bin/ticket/getticket", child: true,
			make:  func(c *Client) fetcher { return Ticket{Client: c} },
			query: url.Values{"access_token": {p}, "type": {"jsapi"}}},
		{name: "wx_card ticket", field: "ticket", method: "GET", url: oa + "/cgi-bin/ticket/getticket", child: true,
			make:  func(c *Client) fetcher { return Ticket{Client: c, Type: WXCard} },
			query: url.Values{"access_token": {p}, "type": {"wx_card"}}},
		{name: "sdk ticket", field: "ticket", method: "GET", url: oa + "/cgi-bin/ticket/getticket", child: true,
			make:  func(c *Client) fetcher { return Ticket{Client: c, Type: SDK} },
			query: url.Values{"access_token": {p}, "type": {"2"}}},
		{name: "corp token", field: "access_token", method: "GET", url: qy + "/cgi-bin/gettoken", work: true,
			make:  func(c *Client) fetcher { return CorpToken{Client: c, CorpID: "ww01", Secret: canarySecret} },
			query: url.Values{"corpid": {"ww01"}, "corpsecret": {s}}},
		{name: "corp ticket", field: "ticket", method: "GET", url: qy + "/cgi-bin/get_jsapi_ticket", work: true, child: true,
			make:  func(c *Client) fetcher { return CorpTicket{Client: c} },
			query: url.Values{"access_token": {p}}},
		{name: "agent ticket", field: "ticket", method: "GET", url: qy + "/cgi-bin/ticket/get", work: true, child: true,
			make:  func(c *Client) fetcher { return AgentTicket{Client: c} },
			query: url.Values{"access_token": {p}, "type": {"agent_config"}}},
		{name: "downstream token", field: "access_token", method: "POST", work: true, child: true,
			url:   qy + "/cgi-bin/corpgroup/corp/gettoken",
			make:  func(c *Client) fetcher { return DownstreamToken{c, "ww02", 1000005, 1} },
			query: url.Values{"access_token": {p}},
			body:  map[string]any{"corpid": "ww02", "business_type": 1.0, "agentid": 1000005.0}},
		{name: "provider token", field: "provider_access_token", method: "POST", work: true,
			url:  qy + "/cgi-bin/service/get_provider_token",
			make: func(c *Client) fetcher { return ProviderToken{Client: c, CorpID: "ww01", Secret: canarySecret} },
			body: map[string]any{"corpid": "ww01", "provider_secret": s}},
	}...)
}

func (k kind) ask() Ask {
	a := Ask{Force: k.force}
	if k.child {
		a.Parent = canaryParent
	}
	if k.grant {
		a.Grant = canaryGrant
	}
	return a
}

func (k kind) path() string {
	_, path, _ := strings.Cut(k.url, ".com")
	return path
}

func TestRequests(t *testing.T) {
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			var calls int
			c := &Client{Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
				calls++
				if got := r.Method; got != k.method {
					t.Errorf("method: got %s, want %s", got, k.method)
				}
				if got := r.URL.Scheme + "://" + r.URL.Host + r.URL.Path; got != k.url {
					t.Errorf("url:\n got %s\nwant %s", got, k.url)
				}
				if got, want := r.URL.RawQuery, k.query.Encode(); got != want {
					t.Errorf("query:\n got %s\nwant %s", got, want)
				}
				sent, err := io.ReadAll(r.Body)
				if err != nil {
					t.Fatal(err)
				}
				var got map[string]any
				if len(sent) > 0 {
					if err := json.Unmarshal(sent, &got); err != nil {
						t.Errorf("body %q: %v", sent, err)
					}
					if ct := r.Header.Get("Content-Type"); ct != "application/json" {
						t.Errorf("content type: got %q", ct)
					}
				}
				if !maps.Equal(got, k.body) {
					t.Errorf("body:\n got %v\nwant %v", got, k.body)
				}
				answer := cmp.Or(k.answer, fmt.Sprintf(`{"%s":"value-1","expires_in":7200}`, k.field))
				return answering(200, strings.NewReader(answer))(r)
			})}
			got, err := k.make(c).Fetch(t.Context(), k.ask())
			if want := cmp.Or(k.want, Token{Value: "value-1", ExpiresIn: 7200e9}); got != want || err != nil {
				t.Errorf("got %+v, %v", got, err)
			}
			if calls != 1 {
				t.Errorf("made %d calls, want 1", calls)
			}
		})
	}
}

func TestBaseURL(t *testing.T) {
	tests := []struct{ base, want string }{
		{"", "https://api.weixin.qq.com/cgi-bin/token"},
		{"http://127.0.0.1:8712", "http://127.0.0.1:8712/cgi-bin/token"},
		{"https://hk.api.weixin.qq.com/", "https://hk.api.weixin.qq.com/cgi-bin/token"},
		{"https://gateway.example/wx/", "https://gateway.example/wx/cgi-bin/token"},
		{"gateway.example", ""},
		{"ftp://gateway.example", ""},
		{"https://", ""},
		{"http://bad host", ""},
		{"http://%zz", ""},
	}
	for _, tt := range tests {
		got := ""
		c := &Client{URL: tt.base, Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
			got = r.URL.Scheme + "://" + r.URL.Host + r.URL.Path
			return answering(200, strings.NewReader(`{"access_token":"a","expires_in":1}`))(r)
		})}
		_, err := AccessToken{Client: c, AppID: "wx01", Secret: "s"}.Fetch(t.Context(), Ask{})
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q:\n got %q, %v\nwant %q", tt.base, got, err, tt.want)
		}
	}
}

func TestMissingCredential(t *testing.T) {
	c := &Client{Transport: roundTripFunc(func(*http.Request) (*http.Response, error) {
		t.Error("a call was made")
		return nil, io.EOF
	})}
	without := func(k kind, ask Ask) {
		_, err := k.make(c).Fetch(t.Context(), ask)
		if te := mustTransportError(t, err); te.Sent {
			t.Errorf("%s: Sent without a call", k.name)
		}
	}
	for _, k := range kinds() {
		if k.child {
			ask := k.ask()
			ask.Parent = ""
			without(k, ask)
		}
		if k.grant {
			ask := k.ask()
			ask.Grant = ""
			without(k, ask)
		}
	}
}
