package sdktest

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/silenceper/wechat/v2"
	"github.com/silenceper/wechat/v2/cache"
	mini "github.com/silenceper/wechat/v2/miniprogram/config"
	"github.com/silenceper/wechat/v2/officialaccount/config"
	platform "github.com/silenceper/wechat/v2/openplatform/config"
	work "github.com/silenceper/wechat/v2/work/config"
)

// exampleAliases returns the aliases of the example configuration, for the sandbox's platform.
func exampleAliases(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../systemd/tokend.toml")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(b), "#[[redis.alias]]\n")
	if !ok {
		t.Fatal("the example has no aliases")
	}
	text = regexp.MustCompile(`(?m)^#(\S)`).ReplaceAllString("#[[redis.alias]]\n"+text, "$1")
	return strings.ReplaceAll(text, "wxaaaabbbbccccdddd", "wxsandboxplatform")
}

// TestSilenceperOverRedis runs the SDK with the example's aliases, and with no change but the host
// of its Redis: no token or ticket is fetched by the SDK.
func TestSilenceperOverRedis(t *testing.T) {
	s := newPushedSite(t, exampleAliases(t))
	const customer, corp, agent = "wxsandboxcustomer", "wwsandboxcorp", "1000002"
	until(t, func() error {
		_, err := s.tokens.Client.Get(t.Context(), "open_platform/wxsandboxplatform/"+customer+"/access_token")
		return err
	})
	wc := wechat.NewWechat()
	wc.SetHTTPClient(&http.Client{Transport: s})
	for _, name := range []string{ // so that tokend fetches nothing later
		officialToken, "official_account/wxsandboxofficial/jsapi_ticket",
		rotatingToken, "official_account/wxsandboxrotating/jsapi_ticket", miniToken,
		"open_platform/wxsandboxplatform/component_access_token", "work/" + corp + "/" + agent + "/access_token",
	} {
		mustGet(t, s, name)
	}
	calls := s.calls()
	redis := cache.NewRedis(context.Background(), &cache.RedisOpts{Host: s.tokens.Client.Socket})
	for _, appID := range []string{"wxsandboxofficial", "wxsandboxrotating"} {
		for _, stable := range []bool{false, true} {
			account := wc.GetOfficialAccount(&config.Config{AppID: appID, AppSecret: "wrong", UseStableAK: stable, Cache: redis})
			name := "official_account/" + appID + "/access_token"
			if got, err := account.GetAccessToken(); err != nil || got != mustGet(t, s, name) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := account.GetBasic().GetAPIDomainIP(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			const page = "https://example.com/pay?id=7"
			got, err := account.GetJs().GetConfig(page)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			ticket := mustGet(t, s, "official_account/"+appID+"/jsapi_ticket")
			sum := sha1.Sum(fmt.Appendf(nil, "jsapi_ticket=%s&noncestr=%s&timestamp=%d&url=%s", ticket, got.NonceStr, got.Timestamp, page))
			if got.Signature != hex.EncodeToString(sum[:]) {
				t.Errorf("%s: the signature is not made with the ticket", name)
			}
		}
	}
	for _, stable := range []bool{false, true} {
		program := wc.GetMiniProgram(&mini.Config{AppID: "wxsandboxmini", AppSecret: "wrong", UseStableAK: stable, Cache: redis})
		if got, err := program.GetContext().GetAccessToken(); err != nil || got != mustGet(t, s, miniToken) {
			t.Errorf("mini program: %v", err)
		}
	}
	open := wc.GetOpenPlatform(&platform.Config{AppID: "wxsandboxplatform", AppSecret: "wrong", Cache: redis})
	for _, c := range []struct {
		name string
		get  func() (string, error)
	}{
		{"open_platform/wxsandboxplatform/component_access_token", open.GetComponentAccessToken},
		{"open_platform/wxsandboxplatform/" + customer + "/access_token", func() (string, error) { return open.GetAuthrAccessToken(customer) }},
		{"work/" + corp + "/" + agent + "/access_token", func() (string, error) {
			return wc.GetWork(&work.Config{CorpID: corp, AgentID: agent, CorpSecret: "wrong", Cache: redis}).GetContext().GetAccessToken()
		}},
	} {
		if got, err := c.get(); err != nil || got != mustGet(t, s, c.name) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if got := s.calls() - calls; got != 0 {
		t.Errorf("the sandbox counts %d calls", got)
	}
	if got := s.fetched(); got != 0 || len(s.paths) != 4 {
		t.Errorf("the SDK itself made %d calls for a token, of %q", got, s.paths)
	}
}
