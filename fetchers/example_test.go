package fetchers_test

import (
	"context"
	"errors"
	"fmt"

	"tokend/fetchers"
	"tokend/fetchers/wechattest"
)

func Example() {
	w := wechattest.New(wechattest.Settings{})
	w.AddAccount("wx0123", "its-secret")
	client := &fetchers.Client{Transport: w.Transport()} // without a Transport, it calls WeChat

	ctx := context.Background()
	token, err := fetchers.StableToken{Client: client, AppID: "wx0123", Secret: "its-secret"}.Fetch(ctx, fetchers.Ask{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("token:", token.Value, token.ExpiresIn)

	ticket, err := fetchers.Ticket{Client: client, Type: fetchers.JSAPI}.Fetch(ctx, fetchers.Ask{Parent: token.Value})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("ticket:", ticket.Value, ticket.ExpiresIn)

	_, err = fetchers.StableToken{Client: client, AppID: "wx0123", Secret: "wrong"}.Fetch(ctx, fetchers.Ask{})
	if e, ok := errors.AsType[*fetchers.APIError](err); ok {
		fmt.Println("refused:", e.Code, e.Reaction)
	}
	// Output:
	// token: REDACTED 2h0m0s
	// ticket: REDACTED 2h0m0s
	// refused: 40125 misconfigured
}
