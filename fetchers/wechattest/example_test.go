package wechattest_test

import (
	"encoding/json"
	"fmt"

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
