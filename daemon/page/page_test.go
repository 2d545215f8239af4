package page

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/server"
	"tokend/daemon/survey"
	"tokend/fetchers"
)

var at = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// example returns a daemon with some credentials in trouble.
func example() survey.Survey {
	return survey.Survey{
		Version: "1.2.3", At: at, Began: at.Add(-26 * time.Hour),
		Credentials: []credential.Status{
			{
				Listing: credential.Listing{Name: "official_account/wx0123/access_token", State: credential.Fresh, TTL: 118*time.Minute + 7*time.Second}, Kind: "stable_token",
				FetchedAt: at.Add(-2 * time.Minute), ExpiresAt: at.Add(118 * time.Minute), NextRefresh: at.Add(113 * time.Minute), Fingerprint: "0123456789ab", Durable: true,
			},
			{Listing: credential.Listing{Name: "open_platform/wxcomponent/component_verify_ticket", State: credential.Waiting}, Kind: "component_verify_ticket", Pushed: true, Durable: true},
			{
				Listing: credential.Listing{Name: "work/ww0123/1000002/access_token", State: credential.Held}, Kind: "corp_token", Durable: true,
				LastError: "errcode=60020 <b>not</b> allowed, from ip: 203.0.113.9", ErrCode: 60020, Address: "203.0.113.9", Reason: credential.Refused, Reaction: fetchers.AddressRefused,
				Failures: 3, Held: true, HoldUntil: at.Add(4 * time.Minute), ErrorAt: at.Add(-time.Minute), NextRefresh: at.Add(4 * time.Minute),
			},
		},
		Census: credential.Census{
			Customers: []credential.CustomerStates{{Platform: "open_platform/wxcomponent", Kind: "authorizer_token", States: [credential.StateCount]int{0, 1_234_567, 0, 8, 0, 9}}},
			Holds:     []credential.Holds{{Kind: "authorizer_token", Reason: credential.Refused, ErrCode: 61003, Reaction: fetchers.Reauthorize, N: 9}},
		},
		Quotas:    []credential.Quota{{Word: "erroneous calls", Spent: 7, Limit: 1500, Window: time.Hour}},
		Endpoints: []credential.Endpoint{{Path: "/cgi-bin/gettoken", OK: 3, Refused: 1, Took: time.Second}},
		Hosts:     []credential.Host{{API: "weixin", Name: "api.test"}, {API: "weixin", Name: "api2.test", Used: true}, {API: "work", Name: "qyapi.test", Used: true}},
		Socket:    server.Counts{Reads: 98765, Hits: 98000, Errors: []server.Errors{{Verb: "GET", Code: "DENIED", N: 4}}},
	}
}

func show(t *testing.T, look func() survey.Survey, lang, accept string) (language, body string) {
	t.Helper()
	language, b, err := New(look).Show(lang, accept)
	if err != nil {
		t.Fatal(err)
	}
	return language, string(b)
}

// TestContent renders both languages: what needs attention, what to do about it, counts of
// customers, and messages from WeChat escaped.
func TestContent(t *testing.T) {
	both := []string{
		"official_account", "wx0123", "0123456789ab", "work/ww0123/1000002/access_token", "203.0.113.9", "tokend refresh work/ww0123/1000002/access_token",
		"&lt;b&gt;not&lt;/b&gt;", "1\u202f234\u202f567", "open_platform/wxcomponent", "errcode 61003", "7 / 1500", "/cgi-bin/gettoken", "250 ms", "98\u202f765", "/callback/",
	}
	for lang, own := range map[string][]string{
		"en": {`lang="en"`, "Needs attention (2)", "1 h 58 min", "1 d 2 h", "retried in 4 min", "Ask the customer to authorize again", "all of WeCom", "in use: api2.test, qyapi.test<"},
		"zh": {`lang="zh"`, "需要处理 (2)", "1 小时 58 分钟", "1 天 2 小时", "4 分钟后重试", "请客户重新授权", "企业微信合计", "域名：api2.test、qyapi.test<"},
	} {
		language, body := show(t, example, lang, "")
		if language != lang {
			t.Errorf("language: got %q, want %q", language, lang)
		}
		for _, text := range slices.Concat(both[1:], own) {
			if !strings.Contains(body, text) {
				t.Errorf("%s: %q is missing", lang, text)
			}
		}
		if strings.Contains(body, "<b>not") {
			t.Errorf("%s: a message became markup", lang)
		}
		if strings.Contains(body, "no value") || strings.Contains(body, "ZgotmplZ") {
			t.Errorf("%s: the template lacks a value", lang)
		}
	}
}

// TestDownstreamWithItsApp: a downstream corp's token is in its app's table, whatever sorts between
// them.
func TestDownstreamWithItsApp(t *testing.T) {
	var v survey.Survey
	for _, name := range []string{
		"work/ww1/1/access_token", "work/ww1/1/agent_config_ticket", "work/ww1/1/corp/access_token", "work/ww1/1/jsapi_ticket",
		"work/ww1/1/wwdown/access_token", "work/ww1/2/access_token", "work/ww1/2/wwdown/access_token",
	} {
		v.Credentials = append(v.Credentials, credential.Status{Listing: credential.Listing{Name: name}, Durable: true})
	}
	var got []string
	for _, o := range english.of(&v).Owners {
		words := []string{o.Family + " " + o.ID + ":"}
		for _, r := range o.Rows {
			words = append(words, r.Word)
		}
		got = append(got, strings.Join(words, " "))
	}
	want := []string{
		"WeCom app ww1/1: access_token agent_config_ticket corp/access_token jsapi_ticket wwdown/access_token",
		"WeCom app ww1/2: access_token wwdown/access_token",
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// TestAllIsWell renders a daemon without trouble, and then with one problem at a time.
func TestAllIsWell(t *testing.T) {
	well := func() survey.Survey {
		v := example()
		v.Credentials = v.Credentials[:1]
		return v
	}
	if _, body := show(t, well, "en", ""); !strings.Contains(body, "All is well") || strings.Contains(body, "Needs attention") {
		t.Error("a healthy daemon needs attention")
	}
	refusing := func() survey.Survey {
		v := well()
		v.Store.Refusing = true
		return v
	}
	if _, body := show(t, refusing, "en", ""); strings.Contains(body, "All is well") || !strings.Contains(body, "The disk refuses writes") {
		t.Error("the failing disk is not shown")
	}
	if _, body := show(t, func() survey.Survey { v := well(); v.Loading = true; return v }, "en", ""); !strings.Contains(body, "not all is shown yet") {
		t.Error("loading is not shown")
	}
	if _, body := show(t, func() survey.Survey { return survey.Survey{} }, "en", ""); !strings.Contains(body, "No account is configured") {
		t.Error("the absence of accounts is not shown")
	}
}

// TestTroublesGrouped: a credential that is unavailable because of a parent is listed with that
// parent, across generations. The most urgent entry comes first.
func TestTroublesGrouped(t *testing.T) {
	status := func(name, parent string, state credential.State, derived bool) credential.Status {
		s := credential.Status{Listing: credential.Listing{Name: "open_platform/wxc/" + name, State: state}, Durable: true, Derived: derived}
		if parent != "" {
			s.Parent = "open_platform/wxc/" + parent
		}
		if parent != "" && state != credential.Fresh {
			s.LastError = "no"
		}
		return s
	}
	v := survey.Survey{At: at, Credentials: []credential.Status{
		status("code", "token", credential.Waiting, true),
		status("fresh", "token", credential.Fresh, false),
		status("own", "fresh", credential.Expired, false),
		status("stale", "own", credential.Stale, true),
		status("ticket", "", credential.Waiting, false),
		status("token", "ticket", credential.Waiting, false),
	}}
	var got []string
	for _, r := range english.troubles(&v) {
		got = append(got, r.Word+" "+strings.ReplaceAll(strings.Join(r.Also, " "), "open_platform/wxc/", ""))
	}
	if want := []string{"own stale", "ticket code token"}; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestLanguage: the language is the requested one, or else the browser's preferred one.
func TestLanguage(t *testing.T) {
	for _, test := range []struct{ lang, accept, want string }{
		{"", "", "en"},
		{"", "zh-CN,zh;q=0.9,en;q=0.8", "zh"},
		{"", "en-US,en;q=0.9,zh-CN;q=0.8", "en"},
		{"", "de, zh-TW;q=0.3", "zh"},
		{"", "ZH", "zh"},
		{"", "zh;q=0", "en"},
		{"", "zh;q=banana", "en"},
		{"", "*", "en"},
		{"", strings.Repeat("zh,", 1000), "en"},
		{"zh", "en", "zh"},
		{"en", "zh", "en"},
		{"<script>", "zh", "zh"},
	} {
		if got := wordsFor(test.lang, test.accept).Code; got != test.want {
			t.Errorf("lang %.20q, accept %.40q: got %s, want %s", test.lang, test.accept, got, test.want)
		}
	}
}

// TestLanguagesComplete: no text is missing in either language, and both have the same
// placeholders.
func TestLanguagesComplete(t *testing.T) {
	verbs := regexp.MustCompile(`%[a-z]`)
	var compare func(path string, en, zh reflect.Value)
	compare = func(path string, en, zh reflect.Value) {
		switch en.Kind() {
		case reflect.String:
			if en.String() == "" || zh.String() == "" {
				t.Errorf("%s is missing", path)
			}
			if a, b := verbs.FindAllString(en.String(), -1), verbs.FindAllString(zh.String(), -1); !slices.Equal(a, b) {
				t.Errorf("%s: placeholders %q and %q", path, a, b)
			}
		case reflect.Struct:
			for i := range en.NumField() {
				compare(path+"."+en.Type().Field(i).Name, en.Field(i), zh.Field(i))
			}
		case reflect.Array:
			for i := range en.Len() {
				compare(fmt.Sprintf("%s[%d]", path, i), en.Index(i), zh.Index(i))
			}
		case reflect.Map:
			if en.Len() != zh.Len() {
				t.Errorf("%s: %d and %d texts", path, en.Len(), zh.Len())
			}
			for _, k := range en.MapKeys() {
				if v := zh.MapIndex(k); v.IsValid() {
					compare(path+"."+k.String(), en.MapIndex(k), v)
				} else {
					t.Errorf("%s.%s is missing", path, k)
				}
			}
		}
	}
	compare("words", reflect.ValueOf(english), reflect.ValueOf(chinese))
	for s := range credential.StateCount {
		if word := credential.State(s).String(); english.States[word] == "" {
			t.Errorf("state %s has no text", word)
		}
	}
}

// TestSelfContained: the policy allows only the page's own style, the page refers to nothing else,
// and it is well-formed.
func TestSelfContained(t *testing.T) {
	p := New(example)
	_, b, err := p.Show("en", "")
	if err != nil {
		t.Fatal(err)
	}
	body := string(b)
	_, rest, _ := strings.Cut(body, "<style>")
	css, _, found := strings.Cut(rest, "</style>")
	digest := sha256.Sum256([]byte(css))
	if want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'"; !found || !strings.Contains(p.Policy(), want) {
		t.Errorf("policy %q does not allow the page's style: %s", p.Policy(), want)
	}
	for _, bad := range []string{"<script", "javascript:", " style=", "http://", "https://", "url(", "@import", " on"} {
		if bad == " on" {
			if regexp.MustCompile(`<[^>]* on[a-z]+=`).MatchString(body) {
				t.Error("an element has a handler")
			}
			continue
		}
		// The advice names the URL of the callbacks, in plain text.
		if strings.Contains(strings.ReplaceAll(body, ": https://example.com/callback/", ""), bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	d := xml.NewDecoder(strings.NewReader(body))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestMessagesEscaped: text from WeChat or from a browser is never markup.
func TestMessagesEscaped(t *testing.T) {
	for _, said := range []string{"</code><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\x00<script\x00>", "\"'><svg/onload=1>", "{{.Style}}", "\xff\xfe<script>"} {
		_, body := show(t, func() survey.Survey {
			v := example()
			v.Credentials[2].LastError, v.Credentials[2].Address = said, said
			v.Credentials[0].Name, v.Version = said, said
			return v
		}, said, said)
		if regexp.MustCompile(`<(script|img|svg)`).MatchString(body) {
			t.Errorf("%q became markup", said)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 999 * time.Millisecond: "0 s", 59 * time.Second: "59 s", 61 * time.Second: "1 min 1 s", time.Hour: "1 h",
		time.Hour + 59*time.Second: "1 h", 49*time.Hour + time.Minute: "2 d 1 h", 24 * time.Hour: "1 d",
	} {
		if got := english.span(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}
