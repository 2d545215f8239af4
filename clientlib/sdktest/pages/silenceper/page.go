// Package page surrounds the code of docs/silenceper.md.
package page

import (
	"context"
	"net/http"

	wechat "github.com/silenceper/wechat/v2"
	"github.com/silenceper/wechat/v2/cache"
	"github.com/silenceper/wechat/v2/miniprogram"
	miniconfig "github.com/silenceper/wechat/v2/miniprogram/config"
	"github.com/silenceper/wechat/v2/officialaccount"
	"github.com/silenceper/wechat/v2/officialaccount/config"
	"github.com/silenceper/wechat/v2/officialaccount/js"

	"tokend/clientlib"
	"tokend/clientlib/sdktest/pages/run"
)

var (
	ctx    = context.Background()
	tokens = &clientlib.Tokens{}
	wc     = wechat.NewWechat()
)

var _ *miniconfig.Config // only the blocks use this package

func useAccount(account *officialaccount.OfficialAccount) error {
	return run.Use(run.Official, func() error { _, err := account.GetBasic().GetAPIDomainIP(); return err })
}

func useScript(script *js.Js) error {
	return run.Use("", func() error { _, err := script.GetConfig("https://example.com/pay?id=7"); return err })
}

// useProgram is a mini program beside an official account, whose HTTP client it uses.
func useProgram(program *miniprogram.MiniProgram) error {
	wc.SetHTTPClient(&http.Client{Transport: tokens.Transport(nil)})
	return run.Use(run.Mini, func() error { return program.GetSubscribe().Delete("template") })
}

// useRedis is the program whose Redis is tokend. It has no secret.
func useRedis(redis cache.Cache) error {
	account := wc.GetOfficialAccount(&config.Config{AppID: "wxsandboxofficial", Cache: redis})
	return run.Use("", func() error {
		if _, err := account.GetBasic().GetAPIDomainIP(); err != nil {
			return err
		}
		_, err := account.GetJs().GetConfig("https://example.com/pay?id=7")
		return err
	})
}
