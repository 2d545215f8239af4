package clientlib_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tokend/clientlib"
)

// daemon replaces tokend in the examples, so that their output is fixed: one reply for each
// request.
func daemon(dialogue map[string]string) func(context.Context) (net.Conn, error) {
	return func(context.Context) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			r := bufio.NewReader(server)
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if _, err := io.WriteString(server, dialogue[strings.TrimSpace(line)]); err != nil {
					return
				}
			}
		}()
		return client, nil
	}
}

// The zero Client connects to the tokend of this host.
func ExampleClient() {
	var tokens clientlib.Client
	defer tokens.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	token, err := tokens.Get(ctx, "work/ww0123/1000002/access_token")
	if errors.Is(err, clientlib.ErrNoDaemon) {
		// tokend is not running: tell the operator
		return
	}
	if err != nil {
		return
	}
	_ = token.Value.Reveal() // use it in the request to WeCom only
}

// Get a token, use it, and reject it if WeChat refuses it.
func ExampleClient_Reject() {
	tokens := clientlib.Client{DialContext: daemon(map[string]string{
		"GET official_account/wx0123/access_token":           "OK 7200 tok-01\n",
		"REJECT official_account/wx0123/access_token tok-01": "OK 7200 tok-02\n",
	})}
	defer tokens.Close()
	ctx, name := context.Background(), "official_account/wx0123/access_token"

	token, err := tokens.Get(ctx, name)
	if err != nil {
		fmt.Println(err)
		return
	}
	errcode := 40001 // from WeChat, for the call with token
	if errcode == 40001 || errcode == 40014 || errcode == 42001 {
		token, err = tokens.Reject(ctx, name, token.Value)
	}
	fmt.Println(token.TTL, token.Value.Reveal(), err)
	fmt.Println(token) // prints no secret
	// Output:
	// 2h0m0s tok-02 <nil>
	// {REDACTED 2h0m0s}
}

// Use rejects a token that WeChat refuses, and calls the function again.
func ExampleClient_Use() {
	tokens := clientlib.Client{DialContext: daemon(map[string]string{
		"GET official_account/wx0123/access_token":           "OK 7200 tok-01\n",
		"REJECT official_account/wx0123/access_token tok-01": "OK 7200 tok-02\n",
	})}
	defer tokens.Close()
	call := func(token string) (errcode int) { // an API of WeChat
		if token == "tok-01" {
			return 40001
		}
		return 0
	}

	err := tokens.Use(context.Background(), "official_account/wx0123/access_token", func(_ context.Context, token clientlib.Secret) error {
		switch errcode := call(token.Reveal()); errcode {
		case 0:
			return nil
		case 40001, 40014, 42001:
			fmt.Println("refused:", errcode)
			return fmt.Errorf("errcode %d: %w", errcode, clientlib.ErrStale)
		default:
			return fmt.Errorf("errcode %d", errcode)
		}
	})
	fmt.Println(err)
	// Output:
	// refused: 40001
	// <nil>
}

// An SDK gets its tokens from a Source. The Transport reports refused tokens, so that the SDK does
// not notice them.
func ExampleTokens() {
	tokens := clientlib.Tokens{Client: &clientlib.Client{}}
	client := &http.Client{Transport: tokens.Transport(nil)}
	source := tokens.Source("official_account/wx0123/access_token")

	// For example silenceper/wechat:
	//	wc.SetHTTPClient(client)
	//	account.SetAccessTokenHandle(source)
	_, _ = client, source
}

// A web server that receives callbacks submits them to the daemon. query contains the fields of the
// HTTP request.
func ExampleClient_Push() {
	tokens := clientlib.Client{DialContext: daemon(map[string]string{
		"PUSH open_platform/wxcomponent 0a1b2c3d4e5f60718293a4b5c6d7e8f901234567 946684800 1320562132 dGlja2V0IDAx": "OK\n",
	})}
	defer tokens.Close()
	query, _ := url.ParseQuery("msg_signature=0a1b2c3d4e5f60718293a4b5c6d7e8f901234567&timestamp=946684800&nonce=1320562132")

	err := tokens.Push(context.Background(), "open_platform/wxcomponent", clientlib.Callback{
		MsgSignature: query.Get("msg_signature"),
		Timestamp:    query.Get("timestamp"),
		Nonce:        query.Get("nonce"),
		Encrypt:      "dGlja2V0IDAx", // the Encrypt of the body
	})
	switch {
	case err == nil:
		fmt.Print("success") // exactly this
	case errors.Is(err, clientlib.ErrDenied), errors.Is(err, clientlib.ErrBadRequest):
		fmt.Println("403: not WeChat's")
	default:
		fmt.Println("503: WeChat sends it again")
	}
	// Output: success
}

// A migration imports all customers, page by page.
func ExampleClient_Import() {
	tokens := clientlib.Client{DialContext: daemon(map[string]string{
		"IMPORT open_platform/wxcomponent 0":   "OK 700 500 500\n",
		"IMPORT open_platform/wxcomponent 500": "OK 700 198 -\n",
	})}
	defer tokens.Close()

	for offset := 0; ; {
		page, err := tokens.Import(context.Background(), "open_platform/wxcomponent", offset)
		if err != nil {
			fmt.Println(err) // continue from offset later
			return
		}
		fmt.Println(page.Kept, "of", page.Total)
		if offset = page.Next; offset == 0 {
			return
		}
	}
	// Output:
	// 500 of 700
	// 198 of 700
}

// An Error reports whether and when a retry may help.
func ExampleError() {
	tokens := clientlib.Client{DialContext: daemon(map[string]string{
		"REFRESH mini_program/wx4567/access_token": "ERR LIMITED 30 forced refreshes of a stable_token are 30 s apart\n",
	})}
	defer tokens.Close()

	_, err := tokens.Refresh(context.Background(), "mini_program/wx4567/access_token")
	fmt.Println(errors.Is(err, clientlib.ErrLimited))
	if refusal, ok := errors.AsType[*clientlib.Error](err); ok && refusal.RetryAfter != clientlib.Never {
		fmt.Println("again in", refusal.RetryAfter)
	}
	// Output:
	// true
	// again in 30s
}

// Watch for changes, and start again when the watch fails.
func ExampleClient_Watch() {
	tokens := clientlib.Client{DialContext: daemon(map[string]string{
		"WATCH work/": "OK 1\nwork/ww0123/1000002/access_token fresh 7200\n" +
			"CHANGED work/ww0123/1000002/access_token stale 600\n",
	})}
	defer tokens.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	w, err := tokens.Watch(ctx, "work/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
	for _, l := range w.List() {
		fmt.Println(l.Name, l.State, l.TTL)
	}
	for {
		l, err := w.Next(ctx)
		if err != nil {
			fmt.Println(err) // unless ctx is done: close w, Watch again, begin with List
			return
		}
		fmt.Println(l.Name, l.State, l.TTL)
		cancel()
	}
	// Output:
	// work/ww0123/1000002/access_token fresh 2h0m0s
	// work/ww0123/1000002/access_token stale 10m0s
	// WATCH work/: context canceled
}
