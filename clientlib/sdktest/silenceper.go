package sdktest

import (
	"net/http"

	"github.com/silenceper/wechat/v2"
	"github.com/silenceper/wechat/v2/cache"
	"github.com/silenceper/wechat/v2/officialaccount"
	"github.com/silenceper/wechat/v2/officialaccount/config"
	"github.com/silenceper/wechat/v2/officialaccount/js"

	"tokend/clientlib"
)

// silenceper is the example of docs/clients.md, word for word.
func silenceper() (*clientlib.Tokens, *wechat.Wechat, *officialaccount.OfficialAccount, *js.Js) {
	tokens := &clientlib.Tokens{Client: &clientlib.Client{}}
	wc := wechat.NewWechat()
	wc.SetHTTPClient(&http.Client{Transport: tokens.Transport(nil)})
	account := wc.GetOfficialAccount(&config.Config{AppID: "wx0123456789abcdef", Cache: cache.NewMemory()})
	account.SetAccessTokenHandle(tokens.Source("official_account/wx0123456789abcdef/access_token"))
	script := account.GetJs()
	script.SetJsTicketHandle(tokens.Source("official_account/wx0123456789abcdef/jsapi_ticket"))
	return tokens, wc, account, script
}
