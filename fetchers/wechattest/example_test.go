package wechattest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"tokend/fetchers/wechattest"
)

func Example() {
	w := wechattest.New(wechattest.Settings{})
	w.AddAccount("wx0123", "its-secret")

	// The code under test gets this client, or the URL of w.Start().
	client := w.Client()
	call := func() (answer struct {
		ErrCode   int    `json:"errcode"`
		Token     string `json:"access_token"`
		ExpiresIn int    `json:"expires_in"`
	}) {
		resp, err := client.Get("https://api.weixin.qq.com/cgi-bin/token?grant_type=client_credential&appid=wx0123&secret=its-secret")
		if err != nil {
			fmt.Println(err)
			return
		}
		defer resp.Body.Close()
		_ = json.NewDecoder(resp.Body).Decode(&answer)
		return answer
	}

	first, second, third := call(), call(), call()
	fmt.Println("expires in", first.ExpiresIn)
	fmt.Println("valid:", w.Valid(first.Token), w.Valid(second.Token), w.Valid(third.Token))

	w.Inject(wechattest.Fault{Code: 45009, Times: 1})
	fmt.Println("errcode", call().ErrCode)
	fmt.Println("calls:", w.CallsFor(wechattest.Token, "wx0123"))
	// Output:
	// expires in 7200
	// valid: false true true
	// errcode 45009
	// calls: 4
}

func ExampleWeChat_Send() {
	// The callback under test, called without a socket.
	callback := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("msg_signature") != "" {
			fmt.Fprint(rw, "success")
		}
	})
	w := wechattest.New(wechattest.Settings{PushTransport: wechattest.HandlerTransport(callback)})
	w.AddPlatform("wxplatform", "its-secret", "its-token", "ZmFrZS1zdWl0ZS1rZXktZm9yLXRva2VuZC10ZXN0cz0")
	w.SetCallback("wxplatform", "http://callback.test/callback/wxplatform")

	ctx := context.Background()
	fmt.Println(w.Send(ctx, "wxplatform", w.TicketPush("wxplatform")).Err)
	w.Authorize("wxplatform", "wxcustomer")
	w.Flush(ctx)
	for _, d := range w.Deliveries() {
		fmt.Println(d.Kind, d.Status, d.Body)
	}
	// Output:
	// <nil>
	// component_verify_ticket 200 success
	// authorized 200 success
}
