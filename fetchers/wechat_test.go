package fetchers_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tokend/fetchers"
	"tokend/fetchers/secret"
	"tokend/fetchers/wechattest"
)

// fetch is a fetcher's Fetch method.
type fetch func(context.Context, fetchers.Ask) (fetchers.Token, error)

func newWeChat(s wechattest.Settings) (*wechattest.WeChat, *fetchers.Client) {
	w := wechattest.New(s)
	w.AddAccount("wx01", "secret-1")
	w.AddApp("ww01", "1000001", "app-secret-1")
	w.AddDownstream("ww01", "1000001", "ww02", 5, 1)
	w.AddProvider("wwprovider", "provider-secret")
	return w, &fetchers.Client{Transport: w.Transport()}
}

func must(t *testing.T, f fetch, ask fetchers.Ask) fetchers.Token {
	t.Helper()
	tok, err := f(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestWeChatKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := newWeChat(wechattest.Settings{})
		stable := fetchers.StableToken{Client: c, AppID: "wx01", Secret: "secret-1"}.Fetch
		corp := fetchers.CorpToken{Client: c, CorpID: "ww01", Secret: "app-secret-1"}.Fetch
		tests := []struct {
			name   string
			fetch  fetch
			parent fetch // nil if there is none
		}{
			{"stable token", stable, nil},
			{"access token", fetchers.AccessToken{Client: c, AppID: "wx01", Secret: "secret-1"}.Fetch, nil},
			{"jsapi ticket", fetchers.Ticket{Client: c}.Fetch, stable},
			{"wx_card ticket", fetchers.Ticket{Client: c, Type: fetchers.WXCard}.Fetch, stable},
			{"sdk ticket", fetchers.Ticket{Client: c, Type: fetchers.SDK}.Fetch, stable},
			{"corp token", corp, nil},
			{"corp ticket", fetchers.CorpTicket{Client: c}.Fetch, corp},
			{"agent ticket", fetchers.AgentTicket{Client: c}.Fetch, corp},
			{"downstream token", fetchers.DownstreamToken{Client: c, CorpID: "ww02", AgentID: 5, BusinessType: 1}.Fetch, corp},
			{"provider token", fetchers.ProviderToken{Client: c, CorpID: "wwprovider", Secret: "provider-secret"}.Fetch, nil},
		}
		seen := map[secret.Text]string{}
		for _, tt := range tests {
			var ask fetchers.Ask
			if tt.parent != nil {
				ask.Parent = must(t, tt.parent, fetchers.Ask{}).Value
			}
			got, err := tt.fetch(t.Context(), ask)
			if err != nil || got.ExpiresIn != 2*time.Hour || !w.Valid(string(got.Value)) {
				t.Errorf("%s: got a life of %v, %v", tt.name, got.ExpiresIn, err)
			}
			if other := seen[got.Value]; other != "" {
				t.Errorf("%s and %s are the same", tt.name, other)
			}
			seen[got.Value] = tt.name
			if tt.parent == nil {
				continue
			}
			w.Kill(string(ask.Parent))
			_, err = tt.fetch(t.Context(), ask)
			if e, ok := errors.AsType[*fetchers.APIError](err); !ok || e.Reaction != fetchers.ParentDead || e.RID == "" {
				t.Errorf("%s of a dead token: got %v", tt.name, err)
			}
		}
	})
}

func TestWeChatForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := newWeChat(wechattest.Settings{})
		f := fetchers.StableToken{Client: c, AppID: "wx01", Secret: "secret-1"}.Fetch
		a := must(t, f, fetchers.Ask{})
		if must(t, f, fetchers.Ask{}) != a {
			t.Error("an ordinary fetch made a new token")
		}
		if must(t, f, fetchers.Ask{Force: true}).Value == a.Value {
			t.Error("a forced fetch made no new token")
		}
	})
}

func TestWeChatFaults(t *testing.T) {
	api := func(code int, r fetchers.Reaction) func(error) bool {
		return func(err error) bool {
			e, ok := errors.AsType[*fetchers.APIError](err)
			return ok && e.Code == code && e.Reaction == r
		}
	}
	transport := func(sent bool) func(error) bool {
		return func(err error) bool {
			e, ok := errors.AsType[*fetchers.TransportError](err)
			return ok && e.Sent == sent
		}
	}
	tests := []struct {
		name        string
		fault       wechattest.Fault
		unreachable bool
		want        func(error) bool
		took        time.Duration
	}{
		{name: "unreachable", unreachable: true, want: transport(false)},
		{name: "cut", fault: wechattest.Fault{Cut: true}, want: transport(true)},
		{name: "lost", fault: wechattest.Fault{Lost: true}, want: transport(true)},
		{name: "hangs", fault: wechattest.Fault{Hang: true}, want: transport(true), took: 5 * time.Second},
		{name: "slow", fault: wechattest.Fault{Delay: time.Minute}, want: transport(true), took: 5 * time.Second},
		{name: "502", fault: wechattest.Fault{Status: 502}, want: transport(true)},
		{name: "web page", fault: wechattest.Fault{Body: wechattest.HTML}, want: transport(true)},
		{name: "truncated", fault: wechattest.Fault{Body: wechattest.Truncated}, want: transport(true)},
		{name: "empty", fault: wechattest.Fault{Body: wechattest.Empty}, want: transport(true)},
		{name: "huge", fault: wechattest.Fault{Body: wechattest.Huge}, want: transport(true)},
		{name: "no value", fault: wechattest.Fault{NoValue: true}, want: transport(true)},
		{name: "no expires_in", fault: wechattest.Fault{ExpiresIn: wechattest.Omit}, want: transport(true)},
		{name: "absurd expires_in", fault: wechattest.Fault{ExpiresIn: "1e12"}, want: transport(true)},
		{name: "busy", fault: wechattest.Fault{Code: -1}, want: api(-1, fetchers.Retry)},
		{name: "quota", fault: wechattest.Fault{Code: 45009}, want: api(45009, fetchers.QuotaDay)},
		{name: "address", fault: wechattest.Fault{Code: 40164}, want: func(err error) bool {
			e, ok := errors.AsType[*fetchers.APIError](err)
			return ok && e.Reaction == fetchers.AddressRefused && e.IP == "192.0.2.1" && e.RID != ""
		}},
		{name: "none", want: func(err error) bool { return err == nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, c := newWeChat(wechattest.Settings{})
				w.Inject(tt.fault)
				w.SetAway(tt.unreachable)
				start := time.Now()
				_, err := fetchers.AccessToken{Client: c, AppID: "wx01", Secret: "secret-1"}.Fetch(t.Context(), fetchers.Ask{})
				if !tt.want(err) || time.Since(start) != tt.took {
					t.Errorf("got %v after %v", err, time.Since(start))
				}
			})
		})
	}
}

// A stable token and its successors over a day, as the engine expects them.
func TestStableTokenDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := newWeChat(wechattest.Settings{})
		f := fetchers.StableToken{Client: c, AppID: "wx01", Secret: "secret-1"}.Fetch
		values := map[secret.Text]bool{}
		for start := time.Now(); time.Since(start) < 24*time.Hour; {
			tok := must(t, f, fetchers.Ask{})
			if tok.ExpiresIn < 5*time.Minute || !w.Valid(string(tok.Value)) {
				t.Fatalf("a life of %v", tok.ExpiresIn)
			}
			values[tok.Value] = true
			time.Sleep(tok.ExpiresIn - 5*time.Minute)
		}
		if len(values) != 13 {
			t.Errorf("got %d tokens in a day, want 13", len(values))
		}
	})
}
