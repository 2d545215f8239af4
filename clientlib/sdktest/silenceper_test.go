package sdktest

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/silenceper/wechat/v2"
	"github.com/silenceper/wechat/v2/cache"
	mini "github.com/silenceper/wechat/v2/miniprogram/config"
	"github.com/silenceper/wechat/v2/officialaccount"
	"github.com/silenceper/wechat/v2/officialaccount/config"
	"github.com/silenceper/wechat/v2/officialaccount/material"

	"tokend/clientlib"
)

// account returns an SDK for an account of the sandbox, without its secret.
func (s *site) account(appID string) *officialaccount.OfficialAccount {
	s.t.Helper()
	wc := wechat.NewWechat()
	wc.SetHTTPClient(&http.Client{Transport: s.tokens.Transport(s)})
	account := wc.GetOfficialAccount(&config.Config{AppID: appID, Cache: cache.NewMemory()})
	account.SetAccessTokenHandle(s.tokens.Source("official_account/" + appID + "/access_token"))
	return account
}

// TestSilenceper holds that an SDK whose token is killed notices nothing, and that only tokend
// fetches.
func TestSilenceper(t *testing.T) {
	s := newSite(t)
	for _, appID := range []string{"wxsandboxofficial", "wxsandboxrotating"} {
		t.Run(appID, func(t *testing.T) {
			name := "official_account/" + appID + "/access_token"
			account := s.account(appID)
			file := filepath.Join(t.TempDir(), "picture.jpg")
			if err := os.WriteFile(file, []byte(strings.Repeat("picture", 10000)), 0o600); err != nil {
				t.Fatal(err)
			}
			use := func() {
				t.Helper()
				if _, err := account.GetBasic().GetAPIDomainIP(); err != nil {
					t.Error(err)
				}
				if err := account.GetMenu().SetMenuByJSON(`{"button":[]}`); err != nil {
					t.Error(err)
				}
				if _, err := account.GetMaterial().MediaUpload(material.MediaTypeImage, file); err != nil {
					t.Error(err)
				}
			}
			use()
			before := s.calls()
			for _, errcode := range []string{"40001", "40014", "42001"} {
				s.kill(name, errcode)
				use()
			}
			if got := s.calls() - before; got < 3 || got > 6 { // a stable token may be asked for twice
				t.Errorf("%d calls for 3 killed tokens", got)
			}
			if got := s.fetched(); got != 0 {
				t.Errorf("the SDK itself made %d calls for a token", got)
			}
		})
	}
}

// TestSilenceperUpload holds that an upload is repeated whole.
func TestSilenceperUpload(t *testing.T) {
	s := newSite(t)
	account := s.account("wxsandboxrotating")
	file := filepath.Join(t.TempDir(), "picture.jpg")
	if err := os.WriteFile(file, []byte(strings.Repeat("picture", 10000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := account.GetBasic().GetAPIDomainIP(); err != nil {
		t.Fatal(err)
	}
	s.kill("official_account/wxsandboxrotating/access_token", "40001")
	if _, err := account.GetMaterial().MediaUpload(material.MediaTypeImage, file); err != nil {
		t.Error(err)
	}
	if n := len(s.bodies); n < 2 || s.bodies[n-1] != s.bodies[n-2] || s.bodies[n-1] < 70000 {
		t.Errorf("bodies of %v bytes were sent", s.bodies)
	}
}

// TestSilenceperConcurrent holds that many requests with a killed token cause one fetch.
func TestSilenceperConcurrent(t *testing.T) {
	s := newSite(t)
	account := s.account("wxsandboxrotating")
	if _, err := account.GetBasic().GetAPIDomainIP(); err != nil {
		t.Fatal(err)
	}
	menu := account.GetMenu() // the SDK creates it without a lock
	before := s.calls()
	s.kill("official_account/wxsandboxrotating/access_token", "42001")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := menu.SetMenuByJSON(`{"button":[]}`); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := s.calls() - before; got != 1 {
		t.Errorf("%d calls, want 1", got)
	}
}

// TestSilenceperScript holds that the signature of a page is made with tokend's ticket.
func TestSilenceperScript(t *testing.T) {
	s := newSite(t)
	script := s.account("wxsandboxofficial").GetJs()
	source := s.tokens.Source("official_account/wxsandboxofficial/jsapi_ticket")
	script.SetJsTicketHandle(source)
	const page = "https://example.com/pay?id=7"
	got, err := script.GetConfig(page)
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := source.GetToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(fmt.Appendf(nil, "jsapi_ticket=%s&noncestr=%s&timestamp=%d&url=%s", ticket, got.NonceStr, got.Timestamp, page))
	if got.Signature != hex.EncodeToString(sum[:]) {
		t.Error("the signature is not made with the ticket")
	}
}

// TestSilenceperMiniProgram holds that a mini program works like an official account.
func TestSilenceperMiniProgram(t *testing.T) {
	s := newSite(t)
	wc := wechat.NewWechat()
	wc.SetHTTPClient(&http.Client{Transport: s.tokens.Transport(s)})
	program := wc.GetMiniProgram(&mini.Config{AppID: "wxsandboxmini", Cache: cache.NewMemory()})
	program.SetAccessTokenHandle(s.tokens.Source("mini_program/wxsandboxmini/access_token"))
	for range 2 {
		if err := program.GetSubscribe().Delete("template"); err != nil {
			t.Error(err)
		}
		s.kill("mini_program/wxsandboxmini/access_token", "40001")
	}
}

// TestSilenceperDown holds that without a daemon the SDK reports an error and calls nobody.
func TestSilenceperDown(t *testing.T) {
	s := newSite(t)
	account := s.account("wxsandboxofficial")
	s.tokens.Client = &clientlib.Client{Socket: filepath.Join(t.TempDir(), "none")}
	before := len(s.bodies)
	if _, err := account.GetBasic().GetAPIDomainIP(); err == nil || !strings.Contains(err.Error(), "no daemon") {
		t.Errorf("the error is %v", err)
	}
	if len(s.bodies) != before || s.calls() != 0 {
		t.Error("WeChat was called")
	}
}
